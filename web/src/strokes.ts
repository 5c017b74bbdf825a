/** Strokes between the pointer and the server's answer. */

import type { Stroke } from "./brush";
import type { LabelMap } from "./labels";
import type { SessionState } from "./types";

/** Strokes on show that the server has not answered yet, in the order they were begun. */
export class PendingStrokes {
  private strokes: Stroke[] = [];

  add(stroke: Stroke): void {
    if (!this.strokes.includes(stroke)) this.strokes.push(stroke);
  }

  drop(stroke: Stroke): void {
    this.strokes = this.strokes.filter((other) => other !== stroke);
  }

  /** Paints them over what the server said. */
  paint(labels: LabelMap, state: SessionState): void {
    const locked = new Set(state.objects.filter((o) => o.locked).map((o) => o.id));
    for (const stroke of this.strokes) stroke.preview(labels, state.overlap, locked);
  }
}
