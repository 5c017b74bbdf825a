/** Keeps the viewer, the page and the address in step with the store. */

import { effect } from "@preact/signals";
import { rememberSession } from "./address";
import type { Annotator } from "./annotator";
import * as store from "./store";
import { limits } from "./windows";

export function connect(annotator: Annotator): void {
  const { viewer } = annotator;
  viewer.onCrosshair = (voxel, intensity) => {
    const { labels } = annotator;
    if (!labels) return;
    const mm = labels.grid.millimetres(voxel);
    store.cursor.value = { voxel, mm, intensity, object: labels.at(...voxel) };
  };
  viewer.onWindow = (low, high) => {
    const width = Math.max(Math.round(high - low), 1);
    store.ctWindow.value = { level: Math.round((low + high) / 2), width };
  };
  effect(() => viewer.setLayout(store.layout.value));
  effect(() => viewer.setRadiological(store.radiological.value));
  effect(() => {
    const [low, high] = limits(store.ctWindow.value);
    if (store.study.value) viewer.setWindow(low, high);
  });
  effect(() => {
    const shown = store.overlayShown.value;
    viewer.setLabelOpacity(shown ? store.fill.value : 0, shown && store.outline.value ? 1 : null);
  });
  effect(() => {
    const { labels } = annotator;
    const objects = store.session.value?.objects ?? [];
    if (!labels) return;
    viewer.setPalette(
      new Map(
        objects.map((o) => [
          labels.slot(o.id),
          [...store.colourOf(o), store.hidden.value.has(o.id) ? 0 : 255],
        ]),
      ),
    );
  });
  effect(() => {
    const id = store.session.value?.id;
    if (id) rememberSession(id);
    document.title = store.study.value
      ? `${store.study.value.name} - vista3d`
      : "vista3d annotator";
  });
}
