/** Is the server there, and what to do with an edit when it was not. */

import { api, ApiError, Unreachable } from "./api";
import { notify, online } from "./store";
import type { Edit, SessionState } from "./types";

const HEARTBEAT_MS = 10_000;
const RETRY_MS = 1_000;

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

let waiting: Promise<void> | null = null;

/** Resolves when the server answers (again). */
export function reconnected(): Promise<void> {
  waiting ??= (async () => {
    online.value = false;
    while (!(await api.healthy())) await sleep(RETRY_MS);
    online.value = true;
    waiting = null;
  })();
  return waiting;
}

/** Notices a server that went away while nobody was asking for anything. */
export function watch(onReturn: () => void): void {
  setInterval(() => {
    if (document.hidden || waiting) return;
    void api.healthy().then((ok) => {
      if (!ok) void reconnected().then(onReturn);
    });
  }, HEARTBEAT_MS);
}

/** What an edit changes in a session; a server that restarted counts revisions on. */
const content = (state: SessionState): string =>
  JSON.stringify({ ...state, revision: 0, saved: true });

/**
 * Carries an edit through a busy or restarted server, exactly once.
 *
 * When the connection broke, nobody knows whether the edit was done. What the session holds now
 * tells: where that changed, the edit is not sent again, and `moved` gives the new state.
 */
export async function delivered(
  before: SessionState,
  work: () => Promise<Edit>,
): Promise<{ edit: Edit } | { moved: SessionState }> {
  for (;;) {
    try {
      return { edit: await work() };
    } catch (error) {
      if (error instanceof ApiError && error.retryAfter !== null) {
        notify("info", `The server is busy and is asked again in ${error.retryAfter} s.`);
        await sleep(error.retryAfter * 1000);
      } else if (error instanceof ApiError && error.status === 410) {
        await api.session(before.id); // an idle session was put away: this brings it back
      } else if (error instanceof Unreachable) {
        await reconnected();
        const now = await api.session(before.id);
        if (content(now) !== content(before)) return { moved: now };
      } else throw error;
    }
  }
}
