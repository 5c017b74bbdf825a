/**
 * The scan's voxel grid, and the viewer's.
 *
 * The server counts voxels (i, j, k) as they lie in the file. The viewer permutes and flips them
 * so that its axes run left to right, back to front, feet to head ("RAS order"). Everything that
 * leaves this page is in millimetres or in (i, j, k); RAS order is the viewer's private matter.
 */

import type { Box, Matrix4, Vec3 } from "./types";

export class Grid {
  readonly size: number;
  /** Extents in RAS order. */
  readonly rasShape: Vec3;
  /** Index in a RAS-order array of voxel (i, j, k) = origin + i * step[0] + j * step[1] + k * step[2]. */
  readonly step: Vec3;
  readonly origin: number;
  /** Millimetres between voxels along i, j, k. */
  readonly spacing: Vec3;

  /**
   * @param permutation for each RAS axis the 1-based file axis, negative where it is flipped.
   */
  constructor(
    readonly shape: Vec3,
    readonly affine: Matrix4,
    readonly permutation: Vec3,
  ) {
    this.size = shape[0] * shape[1] * shape[2];
    this.rasShape = permutation.map((p) => shape[Math.abs(p) - 1]!) as Vec3;
    const rasStep: Vec3 = [1, this.rasShape[0], this.rasShape[0] * this.rasShape[1]];
    const step: Vec3 = [0, 0, 0];
    let origin = 0;
    permutation.forEach((p, ras) => {
      const axis = Math.abs(p) - 1;
      step[axis] = Math.sign(p) * rasStep[ras]!;
      if (p < 0) origin += (shape[axis]! - 1) * rasStep[ras]!;
    });
    this.step = step;
    this.origin = origin;
    this.spacing = [0, 1, 2].map((c) =>
      Math.hypot(affine[0]![c]!, affine[1]![c]!, affine[2]![c]!),
    ) as Vec3;
  }

  /** Position in a RAS-order array. */
  index(i: number, j: number, k: number): number {
    return this.origin + i * this.step[0] + j * this.step[1] + k * this.step[2];
  }

  /** Continuous voxel of a point given as fractions 0..1 of the RAS-order grid (edge to edge). */
  voxelOfFraction(fraction: ArrayLike<number>): Vec3 {
    const voxel: Vec3 = [0, 0, 0];
    this.permutation.forEach((p, ras) => {
      const axis = Math.abs(p) - 1;
      const along = p > 0 ? fraction[ras]! : 1 - fraction[ras]!;
      voxel[axis] = along * this.shape[axis]! - 0.5;
    });
    return voxel;
  }

  /** Inverse of `voxelOfFraction`. */
  fractionOfVoxel(voxel: Vec3): Vec3 {
    return this.permutation.map((p) => {
      const axis = Math.abs(p) - 1;
      const along = (voxel[axis]! + 0.5) / this.shape[axis]!;
      return p > 0 ? along : 1 - along;
    }) as Vec3;
  }

  /** RAS millimetres of a continuous voxel. */
  millimetres(voxel: Vec3): Vec3 {
    return [0, 1, 2].map((r) => {
      const row = this.affine[r]!;
      return row[0]! * voxel[0] + row[1]! * voxel[1] + row[2]! * voxel[2] + row[3]!;
    }) as Vec3;
  }

  /** The voxel that contains a continuous position, kept inside the grid. */
  nearest(voxel: Vec3): Vec3 {
    return voxel.map((v, a) => Math.min(Math.max(Math.round(v), 0), this.shape[a]! - 1)) as Vec3;
  }

  /** The file axis that runs along an axis of the RAS-order grid. */
  axisAlong(ras: number): number {
    return Math.abs(this.permutation[ras]!) - 1;
  }

  /** A box of voxels as [start, length] per RAS axis. */
  rasBox(box: Box): [number, number][] {
    return this.permutation.map((p) => {
      const axis = Math.abs(p) - 1;
      const [low, high] = box[axis]!;
      return [p > 0 ? low : this.shape[axis]! - high, high - low];
    });
  }

  whole(): Box {
    return this.shape.map((n) => [0, n]) as Box;
  }
}

export const boxSize = (box: Box): number =>
  box.reduce((product, [low, high]) => product * (high - low), 1);

export const union = (a: Box, b: Box): Box =>
  a.map(([low, high], axis) => [Math.min(low, b[axis]![0]), Math.max(high, b[axis]![1])]) as Box;
