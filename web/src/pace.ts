/** How long a run will still take, judged by its progress since it was first seen. */

export interface Pace {
  /** Seconds and progress 0..1 when it was first seen, and now. */
  from: { time: number; progress: number };
  now: { time: number; progress: number };
}

/** Below these the guess would jump about. */
const LEAST_PROGRESS = 0.05;
const LEAST_SECONDS = 3;

export function paceOf(before: Pace | null, progress: number, time: number): Pace {
  const now = { time, progress };
  const same = before !== null && progress >= before.now.progress && before.from.progress > 0;
  return same ? { from: before.from, now } : { from: now, now };
}

/** "about 2 min left"; nothing while nobody can know. */
export function remaining(pace: Pace | null): string {
  if (!pace) return "";
  const done = pace.now.progress - pace.from.progress;
  const taken = pace.now.time - pace.from.time;
  if (done < LEAST_PROGRESS || taken < LEAST_SECONDS || pace.now.progress >= 1) return "";
  const seconds = ((1 - pace.now.progress) * taken) / done;
  if (seconds < 10) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 10) * 10} s left`;
  return `about ${Math.ceil(seconds / 60)} min left`;
}
