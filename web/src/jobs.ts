/** Follows a job of the server to its end. */

import { api, ApiError } from "./api";
import { reconnected } from "./connection";
import type { Job } from "./types";

export const isFinal = (job: Job): boolean => job.state !== "queued" && job.state !== "running";

/**
 * Resolves with the job's final state; `onChange` hears the others.
 *
 * A stream also breaks when the server restarts: the job is then asked for by name.
 *
 * @throws Error where the server does not know the job any more.
 * @throws DOMException "AbortError" after `signal`; the job itself goes on.
 */
export async function finished(
  job: Job,
  onChange: (job: Job) => void,
  signal: AbortSignal,
): Promise<Job> {
  while (!isFinal(job)) {
    onChange(job);
    const last = await streamed(job.id, onChange, signal);
    if (last) return last;
    await reconnected();
    try {
      job = await api.job(job.id);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
      throw new Error(
        "The server was restarted in the middle of the segmentation: start it again.",
      );
    }
  }
  return job;
}

/** Listens until a final state (then it is returned) or until the stream breaks (then null). */
function streamed(
  id: string,
  onChange: (job: Job) => void,
  signal: AbortSignal,
): Promise<Job | null> {
  return new Promise((resolve, reject) => {
    const events = api.jobEvents(id);
    const end = (last: Job | null): void => {
      events.close();
      resolve(last);
    };
    signal.addEventListener("abort", () => {
      events.close();
      reject(new DOMException("another scan was opened", "AbortError"));
    });
    events.onmessage = (event: MessageEvent<string>) => {
      const job = JSON.parse(event.data) as Job;
      if (isFinal(job)) end(job);
      else onChange(job);
    };
    events.onerror = () => end(null);
  });
}
