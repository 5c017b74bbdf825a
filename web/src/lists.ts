/** What the server has, fetched again. */

import { batch } from "@preact/signals";
import { api } from "./api";
import * as store from "./store";

export async function loadLists(): Promise<void> {
  const [studies, sessions] = await Promise.all([api.studies(), api.sessions()]);
  batch(() => {
    store.studies.value = studies;
    store.sessions.value = sessions;
  });
}

export async function loadAll(): Promise<void> {
  const [info, classes] = await Promise.all([api.info(), api.classes(), loadLists()]);
  batch(() => {
    store.info.value = info;
    store.classes.value = classes;
  });
}
