/** Edits, one after the other in the order they were asked for. */

import { pending } from "./store";

export class EditQueue {
  private tail: Promise<unknown> = Promise.resolve();

  /** Runs `work` when everything asked for before is done, whether that succeeded or not. */
  add<T>(work: () => Promise<T>): Promise<T> {
    pending.value++;
    const result = this.tail.then(work).finally(() => pending.value--);
    this.tail = result.catch(() => {});
    return result;
  }
}
