import { beforeEach, expect, it, vi } from "vitest";
import type { Box, SessionState, Study, Thing } from "../src/types";
import type { Viewer } from "../src/viewer";

vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener: () => {} }));

const { api, ApiError, Unreachable } = await import("../src/api");
const { Annotator } = await import("../src/annotator");
const { Grid, boxSize } = await import("../src/grid");
const { LabelMap } = await import("../src/labels");
const store = await import("../src/store");

const AFFINE = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1],
];
const study = (id: string): Study =>
  ({ id, name: `scan ${id}`, shape: [4, 3, 2], affine: AFFINE, warnings: [] }) as never;
const thing = (id: number): Thing => ({ id, name: `object ${id}`, color: [9, 9, 9] }) as never;
const state = (revision: number, ...ids: number[]): SessionState => ({
  id: "of a",
  study: "a",
  revision,
  overlap: "overwrite",
  active: ids.at(-1) ?? null,
  undo: 0,
  redo: 0,
  saved: true,
  objects: ids.map(thing),
});

/** A promise that the test settles. */
function held<T>() {
  let give!: (value: T) => void;
  const promise = new Promise<T>((resolve) => (give = resolve));
  return { promise, give };
}

const viewer = {
  open: async (_: ArrayBuffer, shape: never, affine: never) =>
    new LabelMap(new Grid(shape, affine, [1, 2, 3])),
  refresh: () => {},
  announce: () => {},
} as unknown as Viewer;

/** What the server says at every voxel. */
let label = 0;

async function opened(initial: SessionState) {
  vi.spyOn(api, "study").mockImplementation(async (id) => study(id));
  vi.spyOn(api, "image").mockResolvedValue(new ArrayBuffer(0));
  vi.spyOn(api, "jobs").mockResolvedValue([]);
  vi.spyOn(api, "session").mockResolvedValue(initial);
  vi.spyOn(api, "labels").mockImplementation(async (_, box) =>
    new Uint16Array(boxSize(box!)).fill(label),
  );
  const annotator = new Annotator(viewer);
  await annotator.openSession(initial.id);
  await quiet();
  return annotator;
}

/** Waits until every edit is answered. */
const quiet = (): Promise<void> => vi.waitFor(() => expect(store.pending.value).toBe(0));

beforeEach(() => {
  store.notices.value = [];
  vi.restoreAllMocks();
  label = 0;
});

it("calls an export after the scan that it was asked of", async () => {
  const annotator = await opened(state(1, 1));
  const link = { download: "", href: "", click: vi.fn() };
  vi.stubGlobal("document", { createElement: () => link });
  const answer = held<{ blob: Blob; name: string }>();
  vi.spyOn(api, "export").mockReturnValue(answer.promise);
  const done = annotator.export("nii");
  store.study.value = study("b");
  answer.give({ blob: new Blob([]), name: "of a_seg.nii.gz" });
  await done;
  expect(link.download).toBe("scan_a_seg.nii.gz");
});

it("fetches all labels where another tab made edits, and else those of the changed box", async () => {
  const annotator = await opened(state(1, 1));
  const corner = [
    [0, 1],
    [0, 1],
    [0, 1],
  ] as Box;
  const undo = vi.spyOn(api, "undo");
  label = 1;
  undo.mockResolvedValueOnce({ state: state(2, 1), changed: { box: corner } });
  annotator.undo();
  await quiet();
  expect(annotator.labels!.at(0, 0, 0)).toBe(1);
  expect(annotator.labels!.at(3, 2, 1)).toBe(0);
  undo.mockResolvedValueOnce({ state: state(4, 1), changed: null });
  annotator.undo();
  await quiet();
  expect(annotator.labels!.at(3, 2, 1)).toBe(1);
});

it.each([new Unreachable("gone"), new ApiError(503, "BusyError", "busy", 0.1)])(
  "fetches labels again where that failed: %o",
  async (failure) => {
    vi.spyOn(api, "healthy").mockResolvedValue(true);
    const annotator = await opened(state(1, 1));
    const all = annotator.labels!.grid.whole();
    vi.spyOn(api, "undo").mockResolvedValue({ state: state(2, 1), changed: { box: all } });
    vi.mocked(api.labels).mockRejectedValueOnce(failure);
    label = 1;
    annotator.undo();
    await vi.waitFor(() => expect(annotator.labels!.at(3, 2, 1)).toBe(1), 3000);
    await quiet();
  },
);

it("draws each object with its own slot however many there were before", async () => {
  const annotator = await opened(state(1));
  const all = annotator.labels!.grid.whole();
  const made = vi.spyOn(api, "addObject");
  for (label = 1; label <= 300; label++) {
    made.mockResolvedValue({ state: state(label + 1, label), changed: { box: all } });
    await annotator.addObject();
    expect(annotator.labels!.at(0, 0, 0)).toBe(label);
  }
});

it("opens nothing that the person has turned away from", async () => {
  const annotator = await opened(state(1, 1));
  const image = held<ArrayBuffer>();
  vi.mocked(api.image).mockReturnValue(image.promise);
  const opening = annotator.openSession("of a");
  await vi.waitFor(() => expect(store.loading.value?.text).toBe("Loading scan a"));
  annotator.close();
  expect(store.loading.value).toBeNull();
  image.give(new ArrayBuffer(0));
  await opening;
  expect(store.session.value).toBeNull();
  expect(annotator.labels).toBeNull();
  expect(store.notices.value).toEqual([]);
});

it("shows the later of two scans that are opened", async () => {
  const annotator = await opened(state(1, 1));
  const first = held<SessionState>();
  vi.mocked(api.session).mockReturnValueOnce(first.promise);
  const early = annotator.openSession("of a");
  vi.mocked(api.session).mockResolvedValue({ ...state(1, 1), id: "of b", study: "b" });
  await annotator.openSession("of b");
  first.give(state(1, 1));
  await early;
  expect(store.session.value?.id).toBe("of b");
  expect(store.study.value?.name).toBe("scan b");
});

it("shows a new object although one of its number was hidden before", async () => {
  const annotator = await opened(state(1, 1, 2));
  store.hidden.value = new Set([1, 2]);
  vi.spyOn(api, "undo").mockResolvedValue({ state: state(2, 1), changed: null });
  annotator.undo();
  await quiet();
  vi.spyOn(api, "addObject").mockResolvedValue({ state: state(3, 1, 2), changed: null });
  await annotator.addObject();
  expect([...store.hidden.value]).toEqual([1]);
});

it("goes on by two objects where the key is pressed twice, and makes one after the last", async () => {
  const annotator = await opened({ ...state(1, 1, 2, 3), active: 1 });
  let revision = 1;
  const changed = vi.spyOn(api, "changeObject").mockImplementation(async (_, active) => ({
    state: { ...state(++revision, 1, 2, 3), active },
    changed: null,
  }));
  const added = vi
    .spyOn(api, "addObject")
    .mockResolvedValue({ state: state(4, 1, 2, 3, 4), changed: null });
  for (let press = 0; press < 3; press++) annotator.nextObject();
  await quiet();
  expect(changed.mock.calls.map(([, id]) => id)).toEqual([2, 3]);
  expect(added).toHaveBeenCalledTimes(1);
});
