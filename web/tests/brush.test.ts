import { describe, expect, it } from "vitest";
import { Stroke } from "../src/brush";
import { Grid } from "../src/grid";
import { LabelMap } from "../src/labels";

const IDENTITY = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 2.5, 0],
  [0, 0, 0, 1],
];
const grid = new Grid([20, 20, 8], IDENTITY, [1, 2, 3]);
const inPlane = { radiusMm: 3, normal: 2 };

describe("a stroke", () => {
  it("covers a disc of its radius in its plane", () => {
    const stroke = new Stroke(grid, 1, true, inPlane);
    stroke.moveTo([10, 10, 4]);
    expect(stroke.box).toEqual([
      [7, 14],
      [7, 14],
      [4, 5],
    ]);
    const inside = stroke.voxels(stroke.box!);
    expect(inside.reduce((a, b) => a + b)).toBe(29); // lattice points within 3 of a lattice point
    expect(inside[0]).toBe(0); // a disc has no corners
  });

  it("covers a ball in millimetres where it is 3D", () => {
    const stroke = new Stroke(grid, 1, true, { radiusMm: 3, normal: null });
    stroke.moveTo([10, 10, 4]);
    expect(stroke.box).toEqual([
      [7, 14],
      [7, 14],
      [3, 6],
    ]); // slices are 2.5 mm apart
  });

  it("leaves no gaps, however fast the pointer moves", () => {
    const stroke = new Stroke(grid, 1, true, { radiusMm: 1, normal: 2 });
    stroke.moveTo([2, 10, 4]);
    stroke.moveTo([17, 10, 4]);
    const inside = stroke.voxels(stroke.box!);
    const [i, j] = stroke.box!;
    const width = i[1] - i[0];
    const row = inside.slice((10 - j[0]) * width, (11 - j[0]) * width);
    expect([...row]).toEqual(Array(width).fill(1));
  });

  it("is cut off at the scan's edge, and a tip smaller than a voxel still paints", () => {
    const edge = new Stroke(grid, 1, true, inPlane);
    edge.moveTo([0, 19, 0]);
    expect(edge.box).toEqual([
      [0, 4],
      [16, 20],
      [0, 1],
    ]);
    const fine = new Stroke(grid, 1, true, { radiusMm: 0.1, normal: 2 });
    fine.moveTo([5.4, 5.4, 2.2]);
    expect(fine.box).toEqual([
      [5, 6],
      [5, 6],
      [2, 3],
    ]);
  });

  it("measures along the patient on a sheared grid", () => {
    const sheared = new Grid(
      [20, 20, 8],
      [
        [1, 0.8, 0, 0],
        [0, 0.6, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
      ],
      [1, 2, 3],
    );
    const stroke = new Stroke(sheared, 1, true, inPlane);
    stroke.moveTo([10, 10, 4]);
    const [i, j] = stroke.box!;
    const at = (x: number, y: number): number =>
      stroke.voxels(stroke.box!)[x - i[0] + (i[1] - i[0]) * (y - j[0])]!;
    expect(at(8, 12)).toBe(1); // 1.26 mm away
    expect(at(12, 12)).toBe(0); // 3.8 mm away
  });

  it("shows at once what the server will do", () => {
    const labels = new LabelMap(grid);
    const ids = new Uint16Array(grid.size);
    ids[9 + 20 * (10 + 20 * 4)] = 2; // another object
    ids[11 + 20 * (10 + 20 * 4)] = 3; // a locked one
    const show = (adds: boolean, policy: "overwrite" | "keep_existing"): number[] => {
      labels.write(grid.whole(), ids);
      const stroke = new Stroke(grid, 1, adds, inPlane);
      stroke.moveTo([10, 10, 4]);
      stroke.preview(labels, policy, new Set([3]));
      return [9, 10, 11].map((i) => labels.at(i, 10, 4));
    };
    expect(show(true, "overwrite")).toEqual([1, 1, 3]);
    expect(show(true, "keep_existing")).toEqual([2, 1, 3]);
    expect(show(false, "overwrite")).toEqual([2, 0, 3]);
  });
});
