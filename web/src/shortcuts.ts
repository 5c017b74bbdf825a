/** The keyboard: one table that both acts and fills the help dialog. */

import type { Annotator } from "./annotator";
import * as store from "./store";
import { CT_WINDOWS, type CtWindow } from "./windows";
import type { Plane } from "./viewer";

interface Shortcut {
  shown: string;
  what: string;
  matches: (e: KeyboardEvent) => boolean;
  act: (annotator: Annotator, e: KeyboardEvent) => void;
}

const letter =
  (...keys: string[]) =>
  (e: KeyboardEvent): boolean =>
    !e.ctrlKey && !e.metaKey && !e.altKey && keys.includes(e.key.toLowerCase());
const withControl =
  (key: string, shift: boolean) =>
  (e: KeyboardEvent): boolean =>
    (e.ctrlKey || e.metaKey) && !e.altKey && e.shiftKey === shift && e.key.toLowerCase() === key;

const activeId = (): number | null => store.session.value?.active ?? null;

const STEPS: Record<string, [Plane, number]> = {
  arrowup: ["axial", 1],
  arrowdown: ["axial", -1],
  arrowleft: ["sagittal", -1],
  arrowright: ["sagittal", 1],
  pageup: ["coronal", 1],
  pagedown: ["coronal", -1],
};

export const SHORTCUTS: Shortcut[] = [
  { shown: "P", what: "Click tool", matches: letter("p"), act: () => (store.tool.value = "point") },
  {
    shown: "T",
    what: "Switch between adding and removing clicks",
    matches: letter("t"),
    act: () => (store.positive.value = !store.positive.value),
  },
  {
    shown: "Enter",
    what: "Click at the crosshair (with the click tool, in the viewer)",
    matches: (e) =>
      e.key === "Enter" && e.target instanceof HTMLCanvasElement && store.tool.value === "point",
    act: (a, e) => {
      const voxel = a.viewer.crosshair();
      if (voxel) a.click(voxel, e.shiftKey ? !store.positive.value : store.positive.value);
    },
  },
  {
    shown: "E or M",
    what: "Next object, or a new one after the last",
    matches: letter("e", "m"),
    act: (a) => a.nextObject(),
  },
  {
    shown: "R",
    what: "Reset the object",
    matches: letter("r"),
    act: (a) => {
      const id = activeId();
      if (id !== null) a.resetObject(id);
    },
  },
  {
    shown: "Del",
    what: "Delete the object",
    matches: (e) => e.key === "Delete",
    act: (a) => {
      const id = activeId();
      if (id !== null) a.deleteObject(id);
    },
  },
  {
    shown: "V",
    what: "Show or hide all labels",
    matches: letter("v"),
    act: () => (store.overlayShown.value = !store.overlayShown.value),
  },
  {
    shown: "O",
    what: "Outline",
    matches: letter("o"),
    act: () => (store.outline.value = !store.outline.value),
  },
  { shown: "B", what: "Brush", matches: letter("b"), act: () => (store.tool.value = "brush") },
  { shown: "X", what: "Eraser", matches: letter("x"), act: () => (store.tool.value = "eraser") },
  {
    shown: "[ and ]",
    what: "Smaller or larger brush",
    matches: letter("[", "]"),
    act: (_, e) => {
      const next = store.brushRadiusMm.value + (e.key === "]" ? 1 : -1);
      store.brushRadiusMm.value = Math.min(Math.max(next, 1), 40);
    },
  },
  {
    shown: "N or Esc",
    what: "Navigate",
    matches: letter("n", "escape"),
    act: () => (store.tool.value = "navigate"),
  },
  {
    shown: `1 to ${CT_WINDOWS.length}`,
    what: "CT windows",
    matches: (e) => letter(e.key)(e) && e.key in CT_KEYS,
    act: (_, e) => {
      store.ctWindow.value = { ...CT_KEYS[e.key]! };
    },
  },
  {
    shown: "Arrows, Page",
    what: "Move the crosshair slice by slice (in the viewer)",
    matches: (e) => e.target instanceof HTMLCanvasElement && e.key.toLowerCase() in STEPS,
    act: (a, e) => a.viewer.step(...STEPS[e.key.toLowerCase()]!),
  },
  { shown: "Ctrl + Z", what: "Undo", matches: withControl("z", false), act: (a) => a.undo() },
  {
    shown: "Ctrl + Shift + Z",
    what: "Redo",
    matches: withControl("z", true),
    act: (a) => a.redo(),
  },
  {
    shown: "?",
    what: "This help",
    matches: (e) => e.key === "?",
    act: () => (store.helpOpen.value = true),
  },
];

const CT_KEYS: Record<string, CtWindow> = Object.fromEntries(
  CT_WINDOWS.map(({ level, width }, index) => [String(index + 1), { level, width }]),
);

/** Typing and menus keep their keys. */
function isTyping(target: EventTarget | null): boolean {
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  const act = ["range", "checkbox", "color"];
  return target instanceof HTMLInputElement && !act.includes(target.type);
}

export function listen(annotator: Annotator): void {
  window.addEventListener(
    "keydown",
    (event) => {
      if (isTyping(event.target) || store.helpOpen.value) return;
      const shortcut = SHORTCUTS.find((s) => s.matches(event));
      if (!shortcut || (!store.session.value && shortcut.shown !== "?")) return;
      event.preventDefault();
      event.stopPropagation(); // the viewer has keys of its own for other things
      shortcut.act(annotator, event);
    },
    { capture: true },
  );
}
