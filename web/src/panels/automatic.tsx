/** Automatic segmentation: choose structures, watch, cancel. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { css } from "../colour";
import { useAnnotator } from "../context";
import { Icon } from "../icons";
import * as store from "../store";
import { type Pace, paceOf, remaining } from "../pace";
import type { AnatomyClass } from "../types";
import { Section } from "./section";

export function AutomaticPanel() {
  const annotator = useAnnotator();
  const chosen = useSignal<ReadonlySet<number>>(new Set());
  const search = useSignal("");
  const all = useSignal(false);
  if (store.job.value) return <Running />;

  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const offered = store.classes.value.filter(
    (c) =>
      (all.value || c.trained) &&
      words.every((w) => `${c.name} ${c.group}`.toLowerCase().includes(w)),
  );
  const start = (what: number[] | "everything"): void => {
    void annotator.automatic(what);
    chosen.value = new Set();
  };
  return (
    <Section title="Automatic" note={store.info.value?.model.name ?? ""} open={store.automaticOpen}>
      <label class="search">
        <Icon name="search" size={15} />
        <input
          type="search"
          placeholder="Search structures"
          aria-label="Search structures"
          value={search.value}
          onInput={(e) => (search.value = e.currentTarget.value)}
        />
      </label>
      <div class="class-list" role="group" aria-label="Structures to segment">
        {groups(offered).map(([group, members]) => (
          <Group
            key={group}
            name={group}
            members={members}
            chosen={chosen.value}
            open={words.length > 0}
            onChange={(set) => (chosen.value = set)}
          />
        ))}
        {!offered.length && (
          <p class="quiet">
            Nothing is called "{search.value}".{" "}
            {!all.value && (
              <button type="button" class="link" onClick={() => (all.value = true)}>
                Search structures the model has not learned, too
              </button>
            )}
          </p>
        )}
      </div>
      <label class="check quiet">
        <input
          type="checkbox"
          checked={all.value}
          onChange={(e) => (all.value = e.currentTarget.checked)}
        />
        Show what the model has not learned, too
      </label>
      <div class="row">
        <button
          type="button"
          class="button primary"
          disabled={!chosen.value.size}
          onClick={() => start([...chosen.value])}
        >
          Segment {chosen.value.size || ""} chosen
        </button>
        <button type="button" class="button" onClick={() => start("everything")}>
          Everything
        </button>
      </div>
    </Section>
  );
}

function groups(classes: AnatomyClass[]): [string, AnatomyClass[]][] {
  const byGroup = new Map<string, AnatomyClass[]>();
  for (const c of classes) byGroup.set(c.group, [...(byGroup.get(c.group) ?? []), c]);
  return [...byGroup].sort(([a], [b]) => a.localeCompare(b));
}

function Group(props: {
  name: string;
  members: AnatomyClass[];
  chosen: ReadonlySet<number>;
  open: boolean;
  onChange: (chosen: ReadonlySet<number>) => void;
}) {
  const unfolded = useSignal(false);
  const { members, chosen } = props;
  const taken = members.filter((c) => chosen.has(c.id)).length;
  const put = (ids: number[], on: boolean): void => {
    const next = new Set(chosen);
    for (const id of ids) on ? next.add(id) : next.delete(id);
    props.onChange(next);
  };
  const open = props.open || unfolded.value;
  return (
    <div class="class-group">
      <div class="class-group-head">
        <label class="check">
          <input
            type="checkbox"
            checked={taken === members.length}
            ref={(box) => {
              if (box) box.indeterminate = taken > 0 && taken < members.length;
            }}
            onChange={(e) =>
              put(
                members.map((c) => c.id),
                e.currentTarget.checked,
              )
            }
          />
          <span class="capital">{props.name}</span>
        </label>
        <button
          type="button"
          class="fold"
          aria-expanded={open}
          aria-label={`${open ? "Fold" : "Unfold"} ${props.name}`}
          onClick={() => (unfolded.value = !unfolded.value)}
        >
          <span class="quiet">
            {taken ? `${taken} / ` : ""}
            {members.length}
          </span>
          <Icon name="chevron" size={14} />
        </button>
      </div>
      {open &&
        members.map((c) => (
          <label class="check class" key={c.id}>
            <input
              type="checkbox"
              checked={chosen.has(c.id)}
              onChange={(e) => put([c.id], e.currentTarget.checked)}
            />
            <span class="swatch" style={{ background: css(c.color) }} />
            <span class="capital">{c.name}</span>
            {!c.trained && <span class="quiet"> (not learned)</span>}
          </label>
        ))}
    </div>
  );
}

function Running() {
  const annotator = useAnnotator();
  const pace = useSignal<Pace | null>(null);
  const job = store.job.value!;
  const percent = Math.round(job.progress * 100);
  useEffect(() => {
    pace.value = paceOf(pace.peek(), job.progress, performance.now() / 1000);
  }, [job.progress]);
  const text = job.state === "queued" ? "Waiting for the model" : job.message || "Segmenting";
  return (
    <Section title="Automatic">
      <p class="row running">
        <span role="status" class="capital">
          {text}
        </span>
        <span class="quiet">{remaining(pace.value)}</span>
      </p>
      <div class="row">
        <progress max={100} value={percent} aria-label="Progress of the automatic segmentation" />
        <output>{percent}%</output>
        <button type="button" class="button" onClick={() => void annotator.cancelJob()}>
          Cancel
        </button>
      </div>
    </Section>
  );
}
