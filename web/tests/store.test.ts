import { expect, it, vi } from "vitest";

vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener: () => {} }));

const store = await import("../src/store");

it("offers to go on with sessions that hold work: a session begins at revision 1", () => {
  store.sessions.value = [1, 2].map((revision) => ({ id: `s${revision}`, revision }) as never);
  expect(store.editedSessions.value.map((s) => s.id)).toEqual(["s2"]);
});
