/**
 * The label map as the viewer shows it: one byte a voxel, in RAS order.
 *
 * Object ids are the server's and may be large; a byte names a slot 1..255 of the palette. Where a
 * session has more than 255 objects, the rest share slot 255: they are shown in its colour, and
 * still exact on the server.
 */

import { boxSize, type Grid } from "./grid";
import type { Box, Vec3 } from "./types";

const LAST_SLOT = 255;

export class LabelMap {
  readonly slots: Uint8Array<ArrayBuffer>;
  private readonly slotOfId = new Map<number, number>();
  private readonly idOfSlot: number[] = [0];
  /** Longest free first: what was drawn with a slot is replaced long before another object has it. */
  private readonly free = Array.from({ length: LAST_SLOT }, (_, n) => n + 1);

  constructor(readonly grid: Grid) {
    this.slots = new Uint8Array(grid.size);
  }

  /** The palette slot of an object. */
  slot(id: number): number {
    if (id === 0) return 0;
    let slot = this.slotOfId.get(id);
    if (slot === undefined) {
      const own = this.free.shift();
      slot = own ?? LAST_SLOT;
      this.slotOfId.set(id, slot);
      if (own !== undefined) this.idOfSlot[own] = id;
    }
    return slot;
  }

  /**
   * Takes back the slots of all objects but these.
   *
   * @returns whether objects that shared the last slot get their own now: all labels are to be
   * written again, since their voxels cannot be told apart.
   */
  keep(live: ReadonlySet<number>): boolean {
    for (const [id, slot] of this.slotOfId) {
      if (live.has(id)) continue;
      this.slotOfId.delete(id);
      if (this.idOfSlot[slot] !== id) continue;
      this.idOfSlot[slot] = 0;
      this.free.push(slot);
    }
    const sharing = [...this.slotOfId].filter(([id, slot]) => this.idOfSlot[slot] !== id);
    if (!this.free.length) return false;
    for (const [id] of sharing) this.slotOfId.delete(id);
    return sharing.length > 0;
  }

  /** The object shown at a voxel, 0 for none. */
  at(i: number, j: number, k: number): number {
    return this.idOfSlot[this.slots[this.grid.index(i, j, k)]!] ?? 0;
  }

  /** Replaces a box by what the server says: `ids` of the box, i fastest. */
  write(box: Box, ids: Uint16Array): void {
    if (ids.length !== boxSize(box)) {
      throw new RangeError(`${ids.length} labels for a box of ${boxSize(box)} voxels`);
    }
    const { step } = this.grid;
    let read = 0;
    let lastId = 0;
    let lastSlot = 0;
    for (let k = box[2][0]; k < box[2][1]; k++) {
      for (let j = box[1][0]; j < box[1][1]; j++) {
        let at = this.grid.index(box[0][0], j, k);
        for (let i = box[0][0]; i < box[0][1]; i++, at += step[0]) {
          const id = ids[read++]!;
          if (id !== lastId) {
            lastId = id;
            lastSlot = this.slot(id);
          }
          this.slots[at] = lastSlot;
        }
      }
    }
  }

  /** A voxel well inside an object: in its largest slice along k, the one nearest to the middle. */
  middle(id: number): Vec3 | null {
    const slot = this.slot(id);
    const [ni, nj, nk] = this.grid.shape;
    let best: { voxels: [number, number][]; k: number } | null = null;
    for (let k = 0; k < nk; k++) {
      const voxels: [number, number][] = [];
      for (let j = 0; j < nj; j++) {
        let at = this.grid.index(0, j, k);
        for (let i = 0; i < ni; i++, at += this.grid.step[0]) {
          if (this.slots[at] === slot) voxels.push([i, j]);
        }
      }
      if (voxels.length > (best?.voxels.length ?? 0)) best = { voxels, k };
    }
    if (!best) return null;
    const { voxels, k } = best;
    const mean = [0, 1].map((a) => voxels.reduce((sum, v) => sum + v[a]!, 0) / voxels.length);
    const away = (v: [number, number]): number => Math.hypot(v[0] - mean[0]!, v[1] - mean[1]!);
    const [i, j] = voxels.reduce((near, v) => (away(v) < away(near) ? v : near));
    return [i, j, k];
  }
}
