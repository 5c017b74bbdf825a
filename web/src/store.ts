/** Everything the page shows, as signals. Panels read them; `annotator.ts` writes them. */

import { computed, effect, signal } from "@preact/signals";
import type {
  AnatomyClass,
  Info,
  Job,
  ListedStudy,
  SessionState,
  SessionSummary,
  Study,
  Thing,
  Vec3,
} from "./types";
import type { Layout } from "./viewer";
import type { CtWindow } from "./windows";

export type Tool = "navigate" | "point" | "brush" | "eraser";

/** What the server has. */
export const info = signal<Info | null>(null);
export const classes = signal<AnatomyClass[]>([]);
export const studies = signal<ListedStudy[]>([]);
export const sessions = signal<SessionSummary[]>([]);
/** Those that hold work; a session begins at revision 1. */
export const editedSessions = computed(() => sessions.value.filter((s) => s.revision > 1));
export const online = signal(true);

/** What is open. */
export const study = signal<Study | null>(null);
export const session = signal<SessionState | null>(null);
export interface Loading {
  text: string;
  /** Of what is sent or received; null where nobody knows. */
  fraction: number | null;
  cancel?: () => void;
}
/** While a scan is on its way. */
export const loading = signal<Loading | null>(null);
/** The colour that is being chosen for an object, before the server has it. */
export const triedColour = signal<{ id: number; color: Vec3 } | null>(null);
export const colourOf = (thing: Thing): Vec3 =>
  triedColour.value?.id === thing.id ? triedColour.value.color : thing.color;
export const active = computed<Thing | null>(
  () => session.value?.objects.find((o) => o.id === session.value?.active) ?? null,
);

/** What is going on. */
export const job = signal<Job | null>(null);
/** Edits sent or waiting, the first is being answered. */
export const pending = signal(0);
export const pendingClicks = signal<{ voxel: Vec3; positive: boolean }[]>([]);

/** The part of the panel where structures are chosen; it gives way to the objects it made. */
export const automaticOpen = signal(true);

/** How the person works. */
export const tool = signal<Tool>("navigate");
export const positive = signal(true);
export const brushRadiusMm = signal(6);
export const brushBall = signal(false);
export const cursor = signal<{ voxel: Vec3; mm: Vec3; intensity: number; object: number } | null>(
  null,
);
export const helpOpen = signal(false);

/** How it looks; kept in the browser. */
export const layout = kept<Layout>("layout", "grid");
export const fill = kept("fill", 0.45);
export const outline = kept("outline", true);
export const overlayShown = signal(true);
export const radiological = kept("radiological", true);
export const ctWindow = kept<CtWindow>("window", { level: 40, width: 400 });
export const theme = kept<"auto" | "dark" | "light">("theme", "auto");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (e) => (systemIsDark.value = e.matches));
export const darkNow = computed(() =>
  theme.value === "auto" ? systemIsDark.value : theme.value === "dark",
);
/** Hidden objects of the open session. */
export const hidden = signal<ReadonlySet<number>>(new Set());

export interface Notice {
  id: number;
  kind: "info" | "error";
  text: string;
}
export const notices = signal<Notice[]>([]);

let noticeCount = 0;

/** Shows a message. Errors stay until they are dismissed; hints leave by themselves. */
export function notify(kind: Notice["kind"], text: string): void {
  if (notices.value.some((n) => n.text === text)) return;
  const notice = { id: ++noticeCount, kind, text };
  notices.value = [...notices.value.slice(-3), notice];
  if (kind === "info") setTimeout(() => dismiss(notice.id), 5000);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((n) => n.id !== id);
}

/** A signal that the browser remembers. */
function kept<T>(name: string, initial: T) {
  const key = `vista3d.${name}`;
  const stored = localStorage.getItem(key);
  const value = signal<T>(stored === null ? initial : (JSON.parse(stored) as T));
  effect(() => localStorage.setItem(key, JSON.stringify(value.value)));
  return value;
}
