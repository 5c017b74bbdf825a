import { expect, it } from "vitest";
import { Grid } from "../src/grid";
import { LabelMap } from "../src/labels";

const AFFINE = [
  [-1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
];
const map = (): LabelMap => new LabelMap(new Grid([3, 4, 5], AFFINE, [-1, 2, 3]));

it("writes a box, i fastest, and leaves the rest alone", () => {
  const labels = map();
  labels.write(labels.grid.whole(), new Uint16Array(60).fill(7));
  labels.write(
    [
      [1, 3],
      [2, 3],
      [4, 5],
    ],
    Uint16Array.of(600, 0),
  );
  expect(labels.at(1, 2, 4)).toBe(600);
  expect(labels.at(2, 2, 4)).toBe(0);
  expect(labels.at(0, 2, 4)).toBe(7);
  expect(labels.at(1, 1, 4)).toBe(7);
  // The array is the viewer's: its first axis runs against i.
  expect(labels.slots[2 - 1 + 3 * (2 + 4 * 4)]).toBe(labels.slot(600));
});

it("refuses an answer of the wrong size", () => {
  expect(() =>
    map().write(
      [
        [0, 2],
        [0, 1],
        [0, 1],
      ],
      new Uint16Array(3),
    ),
  ).toThrow(RangeError);
});

it("keeps slots of a byte for more objects than a byte can name", () => {
  const labels = map();
  const slots = Array.from({ length: 300 }, (_, n) => labels.slot(1000 + n));
  expect(new Set(slots.slice(0, 254)).size).toBe(254);
  expect(Math.max(...slots)).toBe(255);
  expect(labels.slot(1000)).toBe(1);
});

it("gives slots of objects that are gone to others", () => {
  const labels = map();
  for (let id = 1; id <= 1000; id++) {
    labels.slot(id);
    labels.keep(new Set([id, id - 1]));
  }
  const all = labels.grid.whole();
  labels.write(all, new Uint16Array(60).fill(999).fill(1000, 30));
  expect(labels.slot(999)).not.toBe(labels.slot(1000));
  expect(labels.at(0, 0, 0)).toBe(999);
  expect(labels.at(2, 3, 4)).toBe(1000);
});

it("gives objects that shared the last slot their own once there is one", () => {
  const labels = map();
  const ids = Array.from({ length: 260 }, (_, n) => n + 1);
  for (const id of ids) labels.slot(id);
  expect(labels.keep(new Set(ids))).toBe(false);
  expect(labels.slot(255)).toBe(labels.slot(260));
  const live = ids.slice(10); // 250 of them
  expect(labels.keep(new Set(live))).toBe(true);
  expect(new Set(live.map((id) => labels.slot(id))).size).toBe(250);
  expect(labels.keep(new Set(live))).toBe(false);
});

it("finds a voxel inside an object that is not convex", () => {
  const labels = new LabelMap(new Grid([7, 7, 2], AFFINE, [-1, 2, 3]));
  const ring = new Uint16Array(98);
  for (let i = 0; i < 7; i++) for (const j of [0, 6]) ring[i + 7 * j + 49] = 5;
  labels.write(labels.grid.whole(), ring);
  const middle = labels.middle(5)!;
  expect(labels.at(...middle)).toBe(5);
  expect(middle[0]).toBe(3);
  expect(labels.middle(6)).toBeNull();
});
