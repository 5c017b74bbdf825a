/** Window, layout and how labels look. */

import { CT_WINDOWS } from "../windows";
import * as store from "../store";
import { useAnnotator } from "../context";
import { IconButton } from "../icons";
import { Section } from "./section";
import type { Layout } from "../viewer";

const LAYOUTS: { layout: Layout; name: string }[] = [
  { layout: "grid", name: "All" },
  { layout: "axial", name: "Axial" },
  { layout: "coronal", name: "Coronal" },
  { layout: "sagittal", name: "Sagittal" },
  { layout: "3d", name: "3D" },
];

export function DisplayPanel() {
  const annotator = useAnnotator();
  return (
    <Section title="Display">
      <div class="row">
        <div class="segmented" role="group" aria-label="Layout">
          {LAYOUTS.map(({ layout, name }) => (
            <button
              type="button"
              key={layout}
              aria-pressed={store.layout.value === layout}
              onClick={() => (store.layout.value = layout)}
            >
              {name}
            </button>
          ))}
        </div>
        <IconButton
          icon="reset"
          label="Reset zoom, pan and 3D view"
          onClick={() => annotator.viewer.resetView()}
        />
      </div>
      <WindowControls />
      <label class="row">
        <span>Labels</span>
        <input
          type="range"
          min={0}
          max={100}
          value={Math.round(store.fill.value * 100)}
          aria-label="Opacity of labels in percent"
          onInput={(e) => (store.fill.value = e.currentTarget.valueAsNumber / 100)}
        />
        <output>{Math.round(store.fill.value * 100)}%</output>
      </label>
      <div class="row wrap">
        <label class="check">
          <input
            type="checkbox"
            checked={store.outline.value}
            onChange={(e) => (store.outline.value = e.currentTarget.checked)}
          />
          Outline
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={store.overlayShown.value}
            onChange={(e) => (store.overlayShown.value = e.currentTarget.checked)}
          />
          Show labels
        </label>
        <label class="check" title="The patient's right is at the left, as radiologists look">
          <input
            type="checkbox"
            checked={store.radiological.value}
            onChange={(e) => (store.radiological.value = e.currentTarget.checked)}
          />
          Radiological
        </label>
      </div>
    </Section>
  );
}

function WindowControls() {
  const { level, width } = store.ctWindow.value;
  const preset = CT_WINDOWS.find((w) => w.level === level && w.width === width);
  const number = (name: string, value: number, set: (v: number) => void, min: number) => (
    <label class="number">
      <span aria-hidden="true">{name[0]}</span>
      <input
        type="number"
        step={10}
        min={min}
        value={value}
        aria-label={`Window ${name.toLowerCase()} in HU`}
        onChange={(e) => {
          const typed = e.currentTarget.valueAsNumber;
          if (Number.isFinite(typed)) set(Math.max(typed, min));
        }}
      />
    </label>
  );
  return (
    <div class="row">
      <select
        aria-label="CT window preset"
        value={preset?.name ?? ""}
        onChange={(e) => {
          const chosen = CT_WINDOWS.find((w) => w.name === e.currentTarget.value);
          if (chosen) store.ctWindow.value = { level: chosen.level, width: chosen.width };
        }}
      >
        {!preset && <option value="">Custom</option>}
        {CT_WINDOWS.map((w) => (
          <option key={w.name} value={w.name}>
            {w.name}
          </option>
        ))}
      </select>
      {number("Level", level, (v) => (store.ctWindow.value = { level: v, width }), -2000)}
      {number("Width", width, (v) => (store.ctWindow.value = { level, width: v }), 1)}
    </div>
  );
}
