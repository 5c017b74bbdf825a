/** The line at the bottom: where the crosshair is, and what this software is not. */

import { css } from "../colour";
import * as store from "../store";

export function StatusBar() {
  const at = store.cursor.value;
  const object = store.session.value?.objects.find((o) => o.id === at?.object);
  return (
    <footer class="status">
      {at && (
        <span class="cursor" data-testid="cursor">
          <span title="Right, anterior, superior, in millimetres">
            RAS {at.mm.map((v) => v.toFixed(1)).join(", ")} mm
          </span>
          <span title="Voxel of the scan (i, j, k)">voxel {at.voxel.join(", ")}</span>
          <span>{Math.round(at.intensity)} HU</span>
          {object && (
            <span class="under">
              <i class="swatch" style={{ background: css(store.colourOf(object)) }} />
              {object.name}
            </span>
          )}
        </span>
      )}
      <span class="spacer" />
      <span class="research">Research software, not a medical device</span>
    </footer>
  );
}
