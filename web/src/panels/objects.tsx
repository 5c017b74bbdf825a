/** The list of objects: search, show, lock, rename, delete, volumes, clicks, overlap policy. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { fromHex, toHex } from "../colour";
import { useAnnotator } from "../context";
import { Icon, IconButton } from "../icons";
import * as store from "../store";
import type { OverlapPolicy, Thing } from "../types";
import { Section } from "./section";

const POLICIES: { policy: OverlapPolicy; name: string }[] = [
  { policy: "overwrite", name: "the edit wins" },
  { policy: "keep_existing", name: "the other object wins" },
  { policy: "allow_overlap", name: "both keep the voxels" },
];

export function ObjectsPanel() {
  const annotator = useAnnotator();
  const search = useSignal("");
  const file = useRef<HTMLInputElement>(null);
  const session = store.session.value!;
  const wanted = search.value.trim().toLowerCase();
  const shown = session.objects.filter((o) => o.name.toLowerCase().includes(wanted));
  const allHidden = shown.length > 0 && shown.every((o) => store.hidden.value.has(o.id));
  return (
    <Section
      title="Objects"
      note={session.objects.length ? String(session.objects.length) : ""}
      grows
    >
      <div class="row">
        <label class="search">
          <Icon name="search" size={15} />
          <input
            type="search"
            placeholder="Search objects"
            aria-label="Search objects"
            value={search.value}
            onInput={(e) => (search.value = e.currentTarget.value)}
          />
        </label>
        <IconButton
          icon={allHidden ? "eyeOff" : "eye"}
          disabled={!shown.length}
          label={allHidden ? "Show all listed objects" : "Hide all listed objects"}
          onClick={() =>
            setHidden(
              shown.map((o) => o.id),
              !allHidden,
            )
          }
        />
        <IconButton
          icon="file"
          label="Load a mask or a label map"
          onClick={() => file.current?.click()}
        />
        <input
          ref={file}
          type="file"
          accept=".nii,.nii.gz,.gz,.nrrd,.mha"
          hidden
          aria-label="Mask file"
          onChange={(e) => {
            const mask = e.currentTarget.files?.[0];
            e.currentTarget.value = "";
            if (mask) void annotator.loadMasks(mask);
          }}
        />
        <IconButton
          icon="plus"
          label="New object"
          keys="E"
          onClick={() => void annotator.addObject()}
        />
      </div>
      {session.objects.length === 0 ? (
        <p class="quiet empty">
          No objects yet. Segment structures automatically, or take the click tool (P) and click
          into what you want.
        </p>
      ) : (
        <ul class="objects" aria-label="Objects">
          {shown.map((o) => (
            <Row key={o.id} thing={o} isActive={o.id === session.active} />
          ))}
        </ul>
      )}
      <label class="row policy">
        <span>Where objects meet</span>
        <select
          aria-label="Overlap policy"
          value={session.overlap}
          onChange={(e) => annotator.setOverlap(e.currentTarget.value as OverlapPolicy)}
        >
          {POLICIES.map(({ policy, name }) => (
            <option key={policy} value={policy}>
              {name}
            </option>
          ))}
        </select>
      </label>
    </Section>
  );
}

function setHidden(ids: number[], hide: boolean): void {
  const next = new Set(store.hidden.value);
  for (const id of ids) hide ? next.add(id) : next.delete(id);
  store.hidden.value = next;
}

function Row({ thing, isActive }: { thing: Thing; isActive: boolean }) {
  const annotator = useAnnotator();
  const renaming = useSignal(false);
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (isActive) row.current?.scrollIntoView({ block: "nearest" });
  }, [isActive, thing.clicks.length]);
  const isHidden = store.hidden.value.has(thing.id);
  const finish = (name: string): void => {
    renaming.value = false;
    if (name.trim() && name !== thing.name) annotator.changeObject(thing.id, { name: name.trim() });
  };
  return (
    <li
      ref={row}
      class={`object ${isActive ? "active" : ""} ${isHidden ? "hidden" : ""}`}
      data-object={thing.id}
    >
      <div class="object-head">
        <input
          type="color"
          class="colour"
          aria-label={`Colour of ${thing.name}`}
          title="Choose another colour"
          value={toHex(store.colourOf(thing))}
          onInput={(e) => annotator.tryColour(thing.id, fromHex(e.currentTarget.value))}
          onChange={(e) => annotator.recolour(thing.id, fromHex(e.currentTarget.value))}
        />
        {renaming.value ? (
          <input
            class="rename"
            aria-label="Name of the object"
            defaultValue={thing.name}
            ref={(field) => field?.focus()}
            onBlur={(e) => finish(e.currentTarget.value)}
            onKeyDown={(e) => {
              // A field that leaves the page loses the focus, too: what it holds then counts.
              if (e.key === "Escape") e.currentTarget.value = thing.name;
              if (e.key === "Enter" || e.key === "Escape") e.currentTarget.blur();
            }}
          />
        ) : (
          <button
            type="button"
            class="object-name"
            aria-current={isActive ? "true" : undefined}
            title={isActive ? "Clicks and strokes go to this object" : "Work on this object"}
            onDblClick={() => (renaming.value = true)}
            onClick={() => !isActive && annotator.changeObject(thing.id, { active: true })}
          >
            {thing.name}
          </button>
        )}
        <span class="volume" title={`${thing.voxels} voxels`}>
          {millilitres(thing.volume_ml)}
        </span>
        <IconButton
          icon={isHidden ? "eyeOff" : "eye"}
          label={`${isHidden ? "Show" : "Hide"} ${thing.name}`}
          onClick={() => setHidden([thing.id], !isHidden)}
        />
        <IconButton
          icon={thing.locked ? "lock" : "unlock"}
          pressed={thing.locked}
          label={`${thing.locked ? "Unlock" : "Lock"} ${thing.name}`}
          onClick={() => annotator.changeObject(thing.id, { locked: !thing.locked })}
        />
      </div>
      {isActive && <Details thing={thing} onRename={() => (renaming.value = true)} />}
    </li>
  );
}

function Details({ thing, onRename }: { thing: Thing; onRename: () => void }) {
  const annotator = useAnnotator();
  const find = (): void => {
    const middle = annotator.labels?.middle(thing.id) ?? thing.clicks.at(-1)?.voxel;
    if (middle) annotator.viewer.goTo(middle);
  };
  return (
    <div class="object-details">
      <div class="row actions">
        <IconButton
          icon="target"
          label={`Go to ${thing.name}`}
          onClick={find}
          disabled={!thing.voxels && !thing.clicks.length}
        />
        <IconButton icon="rename" label={`Rename ${thing.name}`} onClick={onRename} />
        <IconButton
          icon="reset"
          label={`Reset ${thing.name}`}
          keys="R"
          disabled={thing.locked}
          onClick={() => annotator.resetObject(thing.id)}
        />
        <IconButton
          icon="trash"
          label={`Delete ${thing.name}`}
          keys="Delete"
          disabled={thing.locked}
          onClick={() => annotator.deleteObject(thing.id)}
        />
      </div>
      {thing.clicks.length > 0 && (
        <ol class="clicks" aria-label={`Clicks of ${thing.name}`}>
          {thing.clicks.map((click, index) => (
            <li key={`${click.voxel.join()}${index}`}>
              <button
                type="button"
                class={`chip ${click.positive ? "add" : "remove"}`}
                title="Go to this click"
                onClick={() => annotator.viewer.goTo(click.voxel)}
              >
                {click.positive ? "+" : "\u2212"}{" "}
                {click.position_ras.map((v) => v.toFixed(0)).join(", ")}
              </button>
              <button
                type="button"
                class="chip-close"
                aria-label={`Take back click ${index + 1}`}
                title="Take back this click"
                onClick={() => annotator.removeClick(thing.id, index)}
              >
                <Icon name="close" size={11} />
              </button>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

function millilitres(ml: number): string {
  if (ml === 0) return "empty";
  if (ml < 0.005) return "<0.01 ml";
  return `${ml >= 100 ? ml.toFixed(0) : ml >= 1 ? ml.toFixed(1) : ml.toFixed(2)} ml`;
}
