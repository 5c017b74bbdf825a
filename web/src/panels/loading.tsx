/** While a scan is on its way. */

import { loading } from "../store";

export function Loading() {
  const now = loading.value;
  if (!now) return null;
  return (
    <div class="loading" role="status">
      <div class="loading-card">
        <span class="spinner" aria-hidden="true" />
        <span>{now.text}</span>
        {now.fraction !== null && <progress max={1} value={now.fraction} aria-label="Progress" />}
        {now.cancel && (
          <button type="button" class="button" onClick={now.cancel}>
            Cancel
          </button>
        )}
      </div>
    </div>
  );
}
