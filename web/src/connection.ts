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

/** Waits until asking again makes sense. @throws `error` itself where it never does. */
async function patience(error: unknown, session: string): Promise<void> {
  if (error instanceof ApiError && error.retryAfter !== null) {
    notify("info", `The server is busy and is asked again in ${error.retryAfter} s.`);
    await sleep(error.retryAfter * 1000);
  } else if (error instanceof ApiError && error.status === 410) {
    await api.session(session); // an idle session was put away: this brings it back
  } else if (error instanceof Unreachable) {
    await reconnected();
    await sleep(RETRY_MS); // where this answer alone breaks, each time, the server is not flooded
  } else throw error;
}

/**
 * Asks for something of a session until a busy or restarted server has answered. Questions alone:
 * an edit might be made twice.
 *
 * @throws DOMException "AbortError" after `signal`.
 */
export async function answered<T>(
  session: string,
  ask: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (;;) {
    try {
      const answer = await ask();
      signal.throwIfAborted();
      return answer;
    } catch (error) {
      signal.throwIfAborted();
      await patience(error, session);
    }
  }
}

/**
 * Carries an edit through a busy or restarted server, exactly once.
 *
 * When the connection broke, nobody knows whether the edit was done. What the session holds now
 * tells: where that changed, the edit is not sent again, and `moved` gives the new state.
 *
 * @throws DOMException "AbortError" where the edit was to be sent again after `signal`.
 */
export async function delivered(
  before: SessionState,
  work: () => Promise<Edit>,
  signal: AbortSignal,
): Promise<{ edit: Edit } | { moved: SessionState }> {
  for (;;) {
    try {
      return { edit: await work() };
    } catch (error) {
      await patience(error, before.id);
      signal.throwIfAborted();
      if (!(error instanceof Unreachable)) continue;
      const now = await answered(before.id, () => api.session(before.id), signal);
      if (content(now) !== content(before)) return { moved: now };
    }
  }
}
