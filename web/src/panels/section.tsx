/** A titled part of the side panel that folds. */

import type { ComponentChildren } from "preact";
import { type Signal, useSignal } from "@preact/signals";
import { Icon } from "../icons";

export function Section(props: {
  title: string;
  note?: string;
  grows?: boolean;
  /** Where it is kept whether the section is open; its own business otherwise. */
  open?: Signal<boolean>;
  children: ComponentChildren;
}) {
  const own = useSignal(true);
  const open = props.open ?? own;
  const id = `section-${props.title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section class={`section ${props.grows && open.value ? "grows" : ""}`} aria-labelledby={id}>
      <h2 id={id}>
        <button type="button" aria-expanded={open.value} onClick={() => (open.value = !open.value)}>
          <Icon name="chevron" size={14} />
          {props.title}
          {props.note && <span class="quiet note">{props.note}</span>}
        </button>
      </h2>
      {open.value && <div class="section-body">{props.children}</div>}
    </section>
  );
}
