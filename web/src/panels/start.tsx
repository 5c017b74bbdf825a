/** The first screen: open a file, go on with a session, or take a scan that the server has. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { api } from "../api";
import { useAnnotator } from "../context";
import { filesOfDrop, oneStudy } from "../files";
import { Icon, IconButton } from "../icons";
import * as store from "../store";
import type { ListedStudy, SessionSummary } from "../types";
import { loadLists } from "../lists";

export function StartScreen() {
  return (
    <main class="start">
      <div class="start-inner">
        <h1>Segment a CT scan</h1>
        <p class="lead">
          Let the model outline what it knows, click where it is wrong, paint the rest. Everything
          stays on this server.
        </p>
        <OpenFile />
        <Sessions />
        <Scans />
        <p class="research-notice">{store.info.value?.research_notice}</p>
      </div>
    </main>
  );
}

function OpenFile() {
  const annotator = useAnnotator();
  const over = useSignal(false);
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const open = (files: File[]): void => {
    const study = oneStudy(files);
    if ("problem" in study) return store.notify("error", study.problem);
    void annotator.upload(study.files);
  };
  const picked = (input: HTMLInputElement): void => {
    open([...(input.files ?? [])]);
    input.value = "";
  };
  return (
    <div
      class={`drop ${over.value ? "over" : ""}`}
      onDragOver={(e) => {
        e.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => (over.value = false)}
      onDrop={(e) => {
        e.preventDefault();
        over.value = false;
        if (e.dataTransfer) void filesOfDrop(e.dataTransfer).then(open);
      }}
    >
      <p>
        <strong>Drop a scan here</strong>
        <span class="quiet">NIfTI, NRRD, MetaImage, a DICOM folder or a zip of one</span>
      </p>
      <div class="row">
        <button type="button" class="button primary" onClick={() => file.current?.click()}>
          <Icon name="file" /> Choose a file
        </button>
        <button type="button" class="button" onClick={() => folder.current?.click()}>
          <Icon name="folder" /> Choose a DICOM folder
        </button>
      </div>
      <input
        ref={file}
        type="file"
        hidden
        multiple
        aria-label="Scan file"
        onChange={(e) => picked(e.currentTarget)}
      />
      <input
        ref={folder}
        type="file"
        hidden
        multiple
        {...{ webkitdirectory: true }}
        aria-label="DICOM folder"
        onChange={(e) => picked(e.currentTarget)}
      />
    </div>
  );
}

function Sessions() {
  const annotator = useAnnotator();
  const names = new Map(store.studies.value.map((s) => [s.id, s.name]));
  const recent = [...store.editedSessions.value].sort((a, b) => b.updated.localeCompare(a.updated));
  if (!recent.length) return null;
  const remove = async (session: SessionSummary): Promise<void> => {
    const name = names.get(session.study) ?? session.study;
    if (!confirm(`Delete the session of ${name} with all its objects? This cannot be undone.`))
      return;
    await api.deleteSession(session.id).catch((e: Error) => store.notify("error", e.message));
    await loadLists();
  };
  return (
    <section aria-labelledby="recent">
      <h2 id="recent">Go on</h2>
      <ul class="list scroll">
        {recent.map((s) => (
          <li key={s.id}>
            <button
              type="button"
              class="list-item"
              onClick={() => void annotator.openSession(s.id)}
            >
              <strong>{names.get(s.study) ?? s.study}</strong>
              <span class="quiet">{s.revision === 2 ? "1 edit" : `${s.revision - 1} edits`}</span>
              <time class="quiet" dateTime={s.updated}>
                {ago(s.updated)}
              </time>
            </button>
            <IconButton
              icon="trash"
              label={`Delete the session of ${names.get(s.study) ?? s.study}`}
              onClick={() => void remove(s)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Scans() {
  const annotator = useAnnotator();
  const search = useSignal("");
  const studies = store.studies.value;
  if (!studies.length) return null;
  const wanted = search.value.trim().toLowerCase();
  const edited = new Set(store.editedSessions.value.map((s) => s.id));
  const hasWork = (study: ListedStudy): boolean => study.sessions.some((id) => edited.has(id));
  const shown = studies.filter((s) => s.name.toLowerCase().includes(wanted));
  const remove = async (study: ListedStudy): Promise<void> => {
    if (!confirm(`Delete the uploaded scan ${study.name} from the server? This cannot be undone.`))
      return;
    const untouched = study.sessions.filter((id) => !edited.has(id));
    await Promise.all(untouched.map((id) => api.deleteSession(id)))
      .then(() => api.deleteStudy(study.id))
      .catch((e: Error) => store.notify("error", e.message));
    await loadLists();
  };
  return (
    <section aria-labelledby="scans">
      <div class="row">
        <h2 id="scans">On this server</h2>
        <label class="search">
          <Icon name="search" size={15} />
          <input
            type="search"
            placeholder="Search scans"
            aria-label="Search scans"
            value={search.value}
            onInput={(e) => (search.value = e.currentTarget.value)}
          />
        </label>
      </div>
      <ul class="list scroll">
        {shown.map((s) => (
          <li key={s.id}>
            <button type="button" class="list-item" onClick={() => void annotator.openStudy(s)}>
              <strong>{s.name}</strong>
              <span class="quiet">{s.shape?.join(" × ")}</span>
              <span class="quiet">{s.source === "upload" ? "uploaded" : "folder"}</span>
            </button>
            {s.source === "upload" && (
              <IconButton
                icon="trash"
                label={
                  hasWork(s)
                    ? `${s.name} has sessions: delete them first`
                    : `Delete the uploaded scan ${s.name}`
                }
                disabled={hasWork(s)}
                onClick={() => void remove(s)}
              />
            )}
          </li>
        ))}
        {!shown.length && <li class="quiet">No scan is called "{search.value}".</li>}
      </ul>
    </section>
  );
}

function ago(time: string): string {
  const minutes = Math.round((Date.now() - Date.parse(time)) / 60_000);
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  if (minutes < 60) return format.format(-minutes, "minute");
  if (minutes < 60 * 24) return format.format(-Math.round(minutes / 60), "hour");
  return format.format(-Math.round(minutes / (60 * 24)), "day");
}
