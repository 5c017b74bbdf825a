import { describe, expect, it } from "vitest";
import { boxSize, Grid, union } from "../src/grid";
import type { Matrix4, Vec3 } from "../src/types";

/** A scan stored head to feet, back to front, right to left: (i, j, k) = (-S, -A, +R) axes. */
const SHAPE: Vec3 = [4, 5, 6];
const AFFINE: Matrix4 = [
  [0, 0, 2, -7],
  [0, -1, 0, 11],
  [-3, 0, 0, 5],
  [0, 0, 0, 1],
];
/** What NiiVue derives from it: R is file axis 3, A is axis 2 flipped, S is axis 1 flipped. */
const grid = new Grid(SHAPE, AFFINE, [3, -2, -1]);

describe("Grid", () => {
  it("indexes the RAS-order array: right grows with k, up with falling i", () => {
    expect(grid.rasShape).toEqual([6, 5, 4]);
    expect(grid.index(3, 4, 0)).toBe(0); // the most left, posterior, inferior voxel
    expect(grid.index(0, 0, 5)).toBe(4 * 5 * 6 - 1);
    expect(grid.index(3, 4, 1)).toBe(1);
    expect(grid.index(3, 3, 0)).toBe(6);
    expect(grid.index(2, 4, 0)).toBe(30);
  });

  it("gives every voxel an index of its own", () => {
    const seen = new Set<number>();
    for (let i = 0; i < 4; i++)
      for (let j = 0; j < 5; j++) for (let k = 0; k < 6; k++) seen.add(grid.index(i, j, k));
    expect(seen.size).toBe(grid.size);
    expect(Math.max(...seen)).toBe(grid.size - 1);
  });

  it("reads fractions at voxel centres", () => {
    // Half a voxel from the left, posterior, inferior corner.
    const corner = grid.voxelOfFraction([0.5 / 6, 0.5 / 5, 0.5 / 4]);
    corner.forEach((v, axis) => expect(v).toBeCloseTo([3, 4, 0][axis]!));
    for (const voxel of [
      [0, 0, 0],
      [3, 1, 5],
      [1.25, 4.4, 2],
    ] as Vec3[]) {
      const back = grid.voxelOfFraction(grid.fractionOfVoxel(voxel));
      back.forEach((v, axis) => expect(v).toBeCloseTo(voxel[axis]!));
    }
  });

  it("says millimetres by the scan's own matrix", () => {
    expect(grid.millimetres([1, 2, 3])).toEqual([-1, 9, 2]);
    expect(grid.spacing).toEqual([3, 1, 2]);
  });

  it("turns a box over with its axes", () => {
    expect(
      grid.rasBox([
        [0, 1],
        [1, 3],
        [2, 6],
      ]),
    ).toEqual([
      [2, 4],
      [2, 2],
      [3, 1],
    ]);
  });

  it("keeps a place beside the scan inside of it", () => {
    expect(grid.nearest([-2, 4.6, 2.4])).toEqual([0, 4, 2]);
  });
});

it("joins boxes", () => {
  const both = union(
    [
      [0, 1],
      [5, 6],
      [2, 3],
    ],
    [
      [3, 4],
      [1, 2],
      [2, 5],
    ],
  );
  expect(both).toEqual([
    [0, 4],
    [1, 6],
    [2, 5],
  ]);
  expect(boxSize(both)).toBe(60);
});
