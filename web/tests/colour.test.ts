import { expect, test } from "vitest";
import { css, fromHex, toHex } from "../src/colour";
import type { Vec3 } from "../src/types";

test.each<[Vec3, string]>([
  [[0, 0, 0], "#000000"],
  [[255, 7, 160], "#ff07a0"],
])("%s is %s and back", (color, hex) => {
  expect(toHex(color)).toBe(hex);
  expect(fromHex(hex)).toEqual(color);
});

test("CSS", () => expect(css([1, 2, 3])).toBe("rgb(1 2 3)"));
