/** The tool rail at the left: what the left mouse button does in the slices. */

import { Icon, type IconName } from "../icons";
import * as store from "../store";
import type { Tool } from "../store";

const TOOLS: { tool: Tool; icon: IconName; name: string; keys: string }[] = [
  { tool: "navigate", icon: "navigate", name: "Navigate", keys: "N" },
  { tool: "point", icon: "point", name: "Click", keys: "P" },
  { tool: "brush", icon: "brush", name: "Brush", keys: "B" },
  { tool: "eraser", icon: "eraser", name: "Eraser", keys: "X" },
];

export function ToolRail() {
  const tool = store.tool.value;
  return (
    <div class="rail" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOLS.map((t) => (
        <button
          type="button"
          key={t.tool}
          class="tool"
          aria-pressed={tool === t.tool}
          aria-keyshortcuts={t.keys}
          title={`${t.name} (${t.keys})`}
          onClick={() => (store.tool.value = t.tool)}
        >
          <Icon name={t.icon} size={20} />
          <span>{t.name}</span>
        </button>
      ))}
      {tool === "point" && <Polarity />}
      {(tool === "brush" || tool === "eraser") && <Tip />}
    </div>
  );
}

function Polarity() {
  const positive = store.positive.value;
  return (
    <div class="rail-options" role="group" aria-label="Sign of a click">
      <button
        type="button"
        class="sign add"
        aria-pressed={positive}
        title="Add to the object (T switches)"
        onClick={() => (store.positive.value = true)}
      >
        <Icon name="plus" /> Add
      </button>
      <button
        type="button"
        class="sign remove"
        aria-pressed={!positive}
        title="Take away from the object (T switches; the right button always takes away)"
        onClick={() => (store.positive.value = false)}
      >
        <Icon name="minus" /> Remove
      </button>
    </div>
  );
}

function Tip() {
  return (
    <div class="rail-options" role="group" aria-label="Brush">
      <label class="stack">
        <span>{store.brushRadiusMm.value} mm</span>
        <input
          type="range"
          aria-label="Brush radius in millimetres"
          min={1}
          max={40}
          value={store.brushRadiusMm.value}
          onInput={(e) => (store.brushRadiusMm.value = e.currentTarget.valueAsNumber)}
        />
      </label>
      <label class="check" title="Paint in all slices at once">
        <input
          type="checkbox"
          checked={store.brushBall.value}
          onChange={(e) => (store.brushBall.value = e.currentTarget.checked)}
        />
        3D
      </label>
    </div>
  );
}
