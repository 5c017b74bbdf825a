/** One stroke of the brush or the eraser: which voxels it covers. */

import { type Grid, boxSize, union } from "./grid";
import type { LabelMap } from "./labels";
import type { Box, OverlapPolicy, Vec3 } from "./types";

export interface Tip {
  radiusMm: number;
  /** File axis that the stroke does not leave; null for a ball. */
  normal: number | null;
}

export class Stroke {
  private readonly covered = new Set<number>();
  private low: Vec3 = [Infinity, Infinity, Infinity];
  private high: Vec3 = [-Infinity, -Infinity, -Infinity];
  private last: Vec3 | null = null;
  /** Inner products of the grid's axes: distances are right on oblique and sheared grids, too. */
  private readonly metric: number[][];

  constructor(
    readonly grid: Grid,
    readonly object: number,
    readonly adds: boolean,
    private readonly tip: Tip,
  ) {
    const axes = [0, 1, 2].map((c) => [0, 1, 2].map((r) => grid.affine[r]![c]!));
    this.metric = axes.map((a) => axes.map((b) => a[0]! * b[0]! + a[1]! * b[1]! + a[2]! * b[2]!));
  }

  /** Moves the tip to a continuous voxel, without gaps on the way. Returns the box it touched. */
  moveTo(voxel: Vec3): Box | null {
    const from = this.last ?? voxel;
    const delta = voxel.map((v, a) => v - from[a]!) as Vec3;
    const steps = Math.max(1, Math.ceil(Math.sqrt(this.squared(delta)) / (this.tip.radiusMm / 2)));
    this.last = voxel;
    let touched: Box | null = null;
    for (let s = this.covered.size ? 1 : 0; s <= steps; s++) {
      const box = this.stamp(from.map((v, a) => v + (delta[a]! * s) / steps) as Vec3);
      touched = touched && box ? union(touched, box) : (box ?? touched);
    }
    return touched;
  }

  /** The smallest box holding every covered voxel; null where nothing was touched. */
  get box(): Box | null {
    if (!this.covered.size) return null;
    return this.low.map((l, a) => [l, this.high[a]! + 1]) as Box;
  }

  /** 1 where the stroke covers a voxel of a box, i fastest. */
  voxels(box: Box): Uint8Array<ArrayBuffer> {
    const [ni, nj] = this.grid.shape;
    const out = new Uint8Array(boxSize(box));
    let at = 0;
    for (let k = box[2][0]; k < box[2][1]; k++) {
      for (let j = box[1][0]; j < box[1][1]; j++) {
        for (let i = box[0][0]; i < box[0][1]; i++, at++) {
          out[at] = Number(this.covered.has(i + ni * (j + nj * k)));
        }
      }
    }
    return out;
  }

  /** Shows the stroke before the server has answered, by the rules the server will follow. */
  preview(labels: LabelMap, policy: OverlapPolicy, locked: ReadonlySet<number>): void {
    const [ni, nj] = this.grid.shape;
    const own = labels.slot(this.object);
    const protectedSlots = new Set([...locked].map((id) => labels.slot(id)));
    for (const linear of this.covered) {
      const i = linear % ni;
      const j = Math.floor(linear / ni) % nj;
      const k = Math.floor(linear / (ni * nj));
      const at = this.grid.index(i, j, k);
      const there = labels.slots[at]!;
      if (!this.adds) {
        if (there === own) labels.slots[at] = 0;
      } else if (there === 0 || (policy !== "keep_existing" && !protectedSlots.has(there))) {
        labels.slots[at] = own;
      }
    }
  }

  private stamp(centre: Vec3): Box | null {
    const { shape, spacing } = this.grid;
    const { radiusMm, normal } = this.tip;
    const range = centre
      .map((c, a) => {
        if (a === normal) return [Math.round(c), Math.round(c)];
        const reach = radiusMm / spacing[a]! + 1;
        return [Math.ceil(c - reach), Math.floor(c + reach)];
      })
      .map(([l, h], a) => [Math.max(l!, 0), Math.min(h!, shape[a]! - 1)]) as [Vec3[0], Vec3[1]][];
    // At least the voxel under the tip, however small the radius.
    const core = this.grid.nearest(centre);
    let touched: Box | null = null;
    const limit = radiusMm * radiusMm;
    for (let k = range[2]![0]; k <= range[2]![1]; k++) {
      for (let j = range[1]![0]; j <= range[1]![1]; j++) {
        for (let i = range[0]![0]; i <= range[0]![1]; i++) {
          const away: Vec3 = [i - centre[0], j - centre[1], k - centre[2]];
          if (normal !== null) away[normal] = 0;
          const isCore = i === core[0] && j === core[1] && k === core[2];
          if (!isCore && this.squared(away) > limit) continue;
          this.cover(i, j, k);
          const one: Box = [
            [i, i + 1],
            [j, j + 1],
            [k, k + 1],
          ];
          touched = touched ? union(touched, one) : one;
        }
      }
    }
    return touched;
  }

  private cover(i: number, j: number, k: number): void {
    const [ni, nj] = this.grid.shape;
    this.covered.add(i + ni * (j + nj * k));
    [i, j, k].forEach((v, a) => {
      this.low[a] = Math.min(this.low[a]!, v);
      this.high[a] = Math.max(this.high[a]!, v);
    });
  }

  private squared(v: Vec3): number {
    let sum = 0;
    for (let a = 0; a < 3; a++)
      for (let b = 0; b < 3; b++) sum += v[a]! * this.metric[a]![b]! * v[b]!;
    return sum;
  }
}
