/** The bar at the top: what is open, undo, saving state, export, appearance, help. */

import { useAnnotator } from "../context";
import { IconButton, Icon } from "../icons";
import { goHome } from "../address";
import * as store from "../store";
import { ExportMenu } from "./export";

export function Header() {
  const annotator = useAnnotator();
  const study = store.study.value;
  const session = store.session.value;
  return (
    <header class="header">
      <button type="button" class="brand" onClick={goHome} title="All scans and sessions">
        <span class="brand-mark" aria-hidden="true" />
        vista3d <span class="brand-light">annotator</span>
      </button>
      {study && session && (
        <>
          <div class="study-name" title={study.name}>
            <strong>{study.name}</strong>
            <span class="quiet">
              {study.shape.join(" × ")} voxels, {study.spacing.map((s) => s.toFixed(2)).join(" × ")}{" "}
              mm
            </span>
          </div>
          <div class="group" role="group" aria-label="History">
            <IconButton
              icon="undo"
              label="Undo"
              keys="Control+Z"
              disabled={!session.undo}
              onClick={() => annotator.undo()}
            />
            <IconButton
              icon="redo"
              label="Redo"
              keys="Control+Shift+Z"
              disabled={!session.redo}
              onClick={() => annotator.redo()}
            />
          </div>
          <Saving />
        </>
      )}
      <div class="spacer" />
      {session && <ExportMenu />}
      <ThemeButton />
      <IconButton
        icon="help"
        label="Help and shortcuts"
        keys="?"
        onClick={() => (store.helpOpen.value = true)}
      />
    </header>
  );
}

function Saving() {
  const waiting = store.pending.value;
  const session = store.session.value!;
  const text = !store.online.value
    ? "Server not reachable, reconnecting"
    : waiting
      ? `${store.job.value ? "Segmenting" : "Computing"}${waiting > 1 ? `, ${waiting - 1} waiting` : ""}`
      : session.saved
        ? "Saved"
        : "Saving";
  const state = !store.online.value ? "offline" : waiting || !session.saved ? "busy" : "calm";
  return (
    <span class={`saving ${state}`} role="status" data-testid="saving">
      {state === "busy" ? <span class="spinner" aria-hidden="true" /> : null}
      {state === "calm" ? <Icon name="check" size={14} /> : null}
      {text}
    </span>
  );
}

function ThemeButton() {
  const dark = store.darkNow.value;
  return (
    <IconButton
      icon="theme"
      label={dark ? "Light appearance" : "Dark appearance"}
      onClick={() => (store.theme.value = dark ? "light" : "dark")}
    />
  );
}
