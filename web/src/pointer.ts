/**
 * The pointer in the views: clicks, strokes, and what is left to the viewer (crosshair, window).
 *
 * Listens on the element around the canvas in the capture phase, so that a stroke can be kept from
 * the viewer.
 */

import { signal } from "@preact/signals";
import type { Annotator } from "./annotator";
import { Stroke } from "./brush";
import * as store from "./store";
import { notify } from "./store";
import type { Hit } from "./viewer";

/** Further than this between press and release it was a drag, not a click. */
const CLICK_REACH_PX = 4;
/** A pointer that rests this long is about to click. */
const REST_MS = 350;

/** Where the brush is, for its outline: canvas position and radius in CSS pixels. */
export const brushCursor = signal<{ x: number; y: number; radius: number } | null>(null);

export function listen(stage: HTMLElement, annotator: Annotator): void {
  let pressed: { x: number; y: number; button: number } | null = null;
  let stroke: Stroke | null = null;
  let resting = 0;
  const { viewer } = annotator;

  const painting = (): boolean => store.tool.value === "brush" || store.tool.value === "eraser";

  const showBrush = (event: PointerEvent, hit: Hit | null): void => {
    const frame = stage.getBoundingClientRect();
    brushCursor.value =
      painting() && hit && hit.view !== "3d"
        ? {
            x: event.clientX - frame.left,
            y: event.clientY - frame.top,
            radius: store.brushRadiusMm.value * hit.pixelsPerMm,
          }
        : null;
  };

  const extend = (event: PointerEvent): void => {
    const hit = viewer.hit(event.clientX, event.clientY);
    if (!stroke || !hit || hit.view === "3d") return;
    const touched = stroke.moveTo(hit.voxel);
    if (touched) annotator.preview(stroke, touched);
  };

  const begin = async (event: PointerEvent, hit: Hit): Promise<void> => {
    if (hit.view === "3d") {
      notify("info", "Paint in a slice: a place in the 3D view has no depth.");
      return;
    }
    const object = store.active.value;
    if (!object) {
      if (store.tool.value === "brush") {
        await annotator.addObject();
        notify("info", "A new object was made: paint it now.");
      } else notify("info", "Choose the object to erase from in the list.");
      return;
    }
    if (object.locked) {
      notify("info", `${object.name} is locked: unlock it in the list to change it.`);
      return;
    }
    stroke = new Stroke(annotator.labels!.grid, object.id, store.tool.value === "brush", {
      radiusMm: store.brushRadiusMm.value,
      normal: store.brushBall.value ? null : hit.normal,
    });
    extend(event);
  };

  const down = (event: PointerEvent): void => {
    pressed = { x: event.clientX, y: event.clientY, button: event.button };
    if (!painting() || event.button !== 0 || event.shiftKey) return;
    const hit = viewer.hit(event.clientX, event.clientY);
    if (!hit) return;
    if (hit.view !== "3d") stage.setPointerCapture(event.pointerId);
    void begin(event, hit);
  };

  const move = (event: PointerEvent): void => {
    const hit = viewer.hit(event.clientX, event.clientY);
    showBrush(event, hit);
    if (stroke) extend(event);
    window.clearTimeout(resting);
    if (store.tool.value === "point" && hit && hit.view !== "3d" && !event.buttons) {
      const { voxel } = hit;
      resting = window.setTimeout(() => annotator.prefetch(voxel), REST_MS);
    }
  };

  const up = (event: PointerEvent): void => {
    const start = pressed;
    pressed = null;
    if (stroke) {
      const finished = stroke;
      stroke = null;
      void annotator.commit(finished);
      return;
    }
    if (!start || store.tool.value !== "point" || event.shiftKey) return;
    if (Math.hypot(event.clientX - start.x, event.clientY - start.y) > CLICK_REACH_PX) return;
    const hit = viewer.hit(event.clientX, event.clientY);
    if (hit) click(hit, start.button);
  };

  const click = (hit: Hit, button: number): void => {
    if (button === 1) return;
    if (hit.view === "3d") {
      notify("info", "Click in a slice: a place in the 3D view has no depth.");
      return;
    }
    if (store.active.value?.locked) {
      notify("info", `${store.active.value.name} is locked: unlock it in the list to change it.`);
      return;
    }
    const positive = button === 2 ? false : store.positive.value;
    if (!positive && !store.active.value?.voxels && !store.pending.value) {
      notify("info", "There is nothing to take away yet: begin with a click that adds.");
      return;
    }
    annotator.click(hit.voxel, positive);
  };

  // The viewer listens to mouse events: while painting it gets none of the left button's.
  const keepFromViewer = (event: MouseEvent): void => {
    const own = painting() && !event.shiftKey && (event.button === 0 || stroke !== null);
    if (own && viewer.hit(event.clientX, event.clientY)?.view !== "3d") event.stopPropagation();
  };

  const zoom = (event: WheelEvent): void => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    event.stopPropagation();
    viewer.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
  };

  stage.addEventListener("pointerdown", down, { capture: true });
  stage.addEventListener("pointermove", move, { capture: true });
  stage.addEventListener("pointerup", up, { capture: true });
  stage.addEventListener("pointerleave", () => (brushCursor.value = null));
  stage.addEventListener("pointercancel", () => {
    if (stroke) void annotator.commit(stroke);
    stroke = null;
  });
  stage.addEventListener("mousedown", keepFromViewer, { capture: true });
  stage.addEventListener("mousemove", (e) => stroke && e.stopPropagation(), { capture: true });
  stage.addEventListener("dblclick", (e) => e.stopPropagation(), { capture: true });
  stage.addEventListener("wheel", zoom, { capture: true, passive: false });
}
