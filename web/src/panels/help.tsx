/** Shortcuts and mouse, in a dialog. */

import { useEffect, useRef } from "preact/hooks";
import { SHORTCUTS } from "../shortcuts";
import { helpOpen, info } from "../store";

const MOUSE: [string, string][] = [
  ["Left button", "what the tool at the left says"],
  ["Right click", "with the click tool: a negative click"],
  ["Right drag", "window width and level"],
  ["Wheel", "slices"],
  ["Ctrl + wheel", "zoom"],
  ["Shift + drag", "pan"],
  ["Drag in 3D", "turn"],
];

export function HelpDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const open = helpOpen.value;
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={() => (helpOpen.value = false)}
    >
      <h2 id="help-title">Help</h2>
      <div class="help-columns">
        <table>
          <caption>Keys</caption>
          <tbody>
            {SHORTCUTS.map((s) => (
              <tr key={s.shown}>
                <th scope="row">
                  <kbd>{s.shown}</kbd>
                </th>
                <td>{s.what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <table>
          <caption>Mouse</caption>
          <tbody>
            {MOUSE.map(([how, what]) => (
              <tr key={how}>
                <th scope="row">{how}</th>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">Everything is saved as you work. {info.value?.research_notice}</p>
      <p class="quiet">
        vista3d {info.value?.version}, model {info.value?.model.name}. Licence of the model:{" "}
        {info.value?.model.licence}{" "}
        <a href="/third-party-licences.md" target="_blank" rel="noreferrer">
          Licences of the parts
        </a>
      </p>
      <form method="dialog">
        <button class="button primary" autofocus>
          Close
        </button>
      </form>
    </dialog>
  );
}
