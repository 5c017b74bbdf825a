import { expect, test } from "vitest";
import { paceOf, remaining } from "../src/pace";

const seen = (...moments: [progress: number, time: number][]) =>
  moments.reduce<ReturnType<typeof paceOf> | null>((pace, m) => paceOf(pace, ...m), null);

test.each([
  [seen([0.1, 5], [0.2, 10]), "about 40 s left"],
  [seen([0.1, 0], [0.2, 60]), "about 8 min left"],
  [seen([0.1, 0], [0.95, 60]), "a few seconds left"],
  // Waiting for the model counts for nothing.
  [seen([0, 0], [0.1, 100], [0.2, 105]), "about 40 s left"],
  // Too early, too little, over, another run.
  [seen([0.1, 0], [0.2, 1]), ""],
  [seen([0.1, 0], [0.12, 9]), ""],
  [seen([0.1, 0], [1, 9]), ""],
  [seen([0.1, 0], [0.9, 60], [0.01, 61], [0.02, 90]), ""],
  [null, ""],
])("what is left of %o", (pace, text) => expect(remaining(pace)).toBe(text));
