/** Errors as sentences for people. */

import { ApiError, Unreachable } from "./api";
import { reconnected } from "./connection";
import { notify } from "./store";

/** Shows what went wrong; what the person stopped is not an error. */
export function report(error: unknown): void {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof Unreachable) {
    void reconnected();
    notify("error", `${error.message} Try once more when it is back: this page will say so.`);
    return;
  }
  if (error instanceof ApiError && error.status === 401) {
    notify("error", "The server asks for its token: reload the page to enter it.");
    return;
  }
  // A refusal of the server is written for people; anything else is a defect of this page.
  if (!(error instanceof ApiError)) console.error(error);
  notify("error", error instanceof Error ? error.message : String(error));
}
