/** Messages: errors until they are dismissed, hints for a few seconds. */

import { IconButton } from "../icons";
import { dismiss, notices, online } from "../store";

export function Notices() {
  return (
    <div class="notices">
      {!online.value && (
        <div class="notice offline" role="alert">
          The server is not reachable. Nothing is lost: the page goes on as soon as it is back.
        </div>
      )}
      {notices.value.map((n) => (
        <div key={n.id} class={`notice ${n.kind}`} role={n.kind === "error" ? "alert" : "status"}>
          <span>{n.text}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => dismiss(n.id)} />
        </div>
      ))}
    </div>
  );
}
