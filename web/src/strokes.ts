/** Strokes between the pointer and the server's answer. */

import { api } from "./api";
import type { Stroke } from "./brush";
import type { Grid } from "./grid";
import type { LabelMap } from "./labels";
import type { Box, SessionState } from "./types";

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

/**
 * Which voxels of a stroke's box belong to its object once the stroke is done, i fastest.
 *
 * It starts from what the server holds at that moment: earlier edits are in, later ones are not.
 */
export async function membershipAfter(
  stroke: Stroke,
  box: Box,
  state: SessionState,
): Promise<Uint8Array<ArrayBuffer>> {
  if (state.overlap === "allow_overlap") {
    // A label map shows only the topmost object, so that the object's own mask is asked for.
    const mask = await api.objectMask(state.id, stroke.object);
    const at = wholeOffset(box, stroke.grid);
    return stroke.membership((offset) => mask[at(offset)] === 1);
  }
  const ids = await api.labels(state.id, box);
  return stroke.membership((offset) => ids[offset] === stroke.object);
}

/** Offset in a box -> offset in the whole grid, both with i fastest. */
function wholeOffset(box: Box, grid: Grid): (offset: number) => number {
  const [ni, nj] = grid.shape;
  const width = box[0][1] - box[0][0];
  const height = box[1][1] - box[1][0];
  return (offset) => {
    const i = box[0][0] + (offset % width);
    const j = box[1][0] + (Math.floor(offset / width) % height);
    const k = box[2][0] + Math.floor(offset / (width * height));
    return i + ni * (j + nj * k);
  };
}
