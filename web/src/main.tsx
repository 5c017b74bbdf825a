/** The page: puts the parts together and decides what is on show. */

import { effect, useSignal } from "@preact/signals";
import { render } from "preact";
import { rememberSession, sessionInAddress } from "./address";
import type { Annotator } from "./annotator";
import { reconnected, watch } from "./connection";
import { AnnotatorContext } from "./context";
import { loadAll, loadLists } from "./lists";
import { AutomaticPanel } from "./panels/automatic";
import { DisplayPanel } from "./panels/display";
import { Header } from "./panels/header";
import { HelpDialog } from "./panels/help";
import { Loading } from "./panels/loading";
import { Notices } from "./panels/notices";
import { ObjectsPanel } from "./panels/objects";
import { Stage } from "./panels/stage";
import { StartScreen } from "./panels/start";
import { StatusBar } from "./panels/status";
import { ToolRail } from "./panels/tools";
import * as shortcuts from "./shortcuts";
import * as store from "./store";
import { connect } from "./sync";
import "./style.css";

const UNSENT = "Some of what you did has not been computed yet. Leave, and lose it?";

async function start(annotator: Annotator): Promise<void> {
  connect(annotator);
  shortcuts.listen(annotator);
  watch(() => void annotator.catchUp());
  window.addEventListener("popstate", () => void followAddress(annotator));
  window.addEventListener("beforeunload", (event) => {
    if (store.pending.value) event.preventDefault();
  });
  for (;;) {
    try {
      await loadAll();
      break;
    } catch (error) {
      store.notify("error", error instanceof Error ? error.message : String(error));
      await reconnected();
      await new Promise((wait) => setTimeout(wait, 1000));
    }
  }
  if (sessionInAddress()) await followAddress(annotator);
}

async function followAddress(annotator: Annotator): Promise<void> {
  const wanted = sessionInAddress();
  const open = store.session.value?.id ?? null;
  annotator.stopOpening();
  if (open && wanted === open) return;
  if (open && store.pending.value && !confirm(UNSENT)) return rememberSession(open);
  if (wanted) return annotator.openSession(wanted);
  annotator.close();
  await loadLists();
}

function Page() {
  const annotator = useSignal<Annotator | null>(null);
  const ready = (made: Annotator): void => {
    annotator.value = made;
    void start(made);
  };
  const open = store.session.value !== null;
  return (
    <AnnotatorContext.Provider value={annotator.value}>
      <div class={`page ${open ? "open" : ""}`}>
        {annotator.value && <Header />}
        <div class="work">
          {open && <ToolRail />}
          <Stage onReady={ready} />
          {open && (
            <aside class="side" aria-label="Panels">
              <AutomaticPanel />
              <ObjectsPanel />
              <DisplayPanel />
            </aside>
          )}
          {!open && annotator.value && <StartScreen />}
        </div>
        <StatusBar />
        <Loading />
        <Notices />
        {annotator.value && <HelpDialog />}
      </div>
    </AnnotatorContext.Provider>
  );
}

effect(() => {
  document.documentElement.dataset["theme"] = store.darkNow.value ? "dark" : "light";
});
render(<Page />, document.getElementById("app")!);
