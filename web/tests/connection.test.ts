import { beforeEach, expect, it, vi } from "vitest";

vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener: () => {} }));

const { api, ApiError, Unreachable } = await import("../src/api");
const { answered, delivered } = await import("../src/connection");
const { EditQueue } = await import("../src/queue");
const { pending } = await import("../src/store");

const state = (undo: number, revision = 5) => ({ id: "s", undo, revision, saved: true }) as never;
const staying = new AbortController().signal;
const edit = { state: state(2), changed: null };

beforeEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("sends an edit again where the connection broke before it was done", async () => {
  vi.spyOn(api, "healthy").mockResolvedValue(true);
  vi.spyOn(api, "session").mockResolvedValue(state(1, 6)); // a restart counts as a revision
  const work = vi.fn().mockRejectedValueOnce(new Unreachable("gone")).mockResolvedValue(edit);
  expect(await delivered(state(1), work, staying)).toEqual({ edit });
  expect(work).toHaveBeenCalledTimes(2);
});

it("does not send it again where it was done and only the answer was lost", async () => {
  vi.spyOn(api, "healthy").mockResolvedValue(true);
  vi.spyOn(api, "session").mockResolvedValue(state(2));
  const work = vi.fn().mockRejectedValue(new Unreachable("gone"));
  expect(await delivered(state(1), work, staying)).toEqual({ moved: state(2) });
  expect(work).toHaveBeenCalledTimes(1);
});

it("waits as long as a busy server asks for", async () => {
  vi.useFakeTimers();
  const work = vi
    .fn()
    .mockRejectedValueOnce(new ApiError(503, "BusyError", "busy", 3))
    .mockResolvedValue(edit);
  const done = delivered(state(1), work, staying);
  await vi.advanceTimersByTimeAsync(2900);
  expect(work).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(200);
  expect(await done).toEqual({ edit });
});

it("gives a refusal to the person", async () => {
  const refused = new ApiError(422, "UsageError", "locked", null);
  const work = (): Promise<never> => Promise.reject(refused);
  await expect(delivered(state(1), work, staying)).rejects.toBe(refused);
});

it("does not send an edit again for a session that was left meanwhile", async () => {
  const left = new AbortController();
  vi.spyOn(api, "healthy").mockResolvedValue(true);
  vi.spyOn(api, "session").mockResolvedValue(state(1));
  const work = vi.fn().mockImplementation(() => {
    left.abort();
    throw new Unreachable("gone");
  });
  await expect(delivered(state(1), work, left.signal)).rejects.toThrow("abort");
  expect(work).toHaveBeenCalledTimes(1);
});

it("asks again until there is an answer, and one that was cut off is none", async () => {
  vi.spyOn(api, "healthy").mockResolvedValue(true);
  const body = new ReadableStream({ start: (stream) => stream.error(new TypeError("cut off")) });
  const fetched = vi
    .spyOn(globalThis, "fetch")
    .mockResolvedValueOnce(new Response(body))
    .mockResolvedValueOnce(new Response(Uint16Array.of(7)));
  const labels = await answered("s", () => api.labels("s"), staying);
  expect([...labels]).toEqual([7]);
  expect(fetched).toHaveBeenCalledTimes(2);
});

it("keeps edits in order, goes on after one failed, and counts what waits", async () => {
  const queue = new EditQueue();
  const done: string[] = [];
  const slow = queue.add(async () => {
    await new Promise((wait) => setTimeout(wait, 20));
    done.push("slow");
    throw new Error("refused");
  });
  const fast = queue.add(async () => done.push("fast"));
  expect(pending.value).toBe(2);
  await expect(slow).rejects.toThrow("refused");
  await fast;
  expect(done).toEqual(["slow", "fast"]);
  expect(pending.value).toBe(0);
});
