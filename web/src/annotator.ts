/**
 * What a person can do here, and what then happens: the server is asked, its answer is shown.
 *
 * The server holds the truth. An edit answers with the box of voxels that changed; those labels are
 * fetched and nothing else. Edits go one after the other, the mask of before stays in view until
 * the answer is there, and a brush stroke is previewed at once.
 */

import { batch } from "@preact/signals";
import { api } from "./api";
import type { Stroke } from "./brush";
import { answered, delivered } from "./connection";
import { union } from "./grid";
import { finished, isFinal } from "./jobs";
import type { LabelMap } from "./labels";
import { EditQueue } from "./queue";
import { report } from "./report";
import * as store from "./store";
import { notify } from "./store";
import { PendingStrokes } from "./strokes";
import type {
  Box,
  Edit,
  ExportFormat,
  ListedStudy,
  OverlapPolicy,
  Job,
  SessionState,
  Study,
  ThingChange,
  Vec3,
} from "./types";
import type { Viewer } from "./viewer";
import { limits } from "./windows";

export class Annotator {
  labels: LabelMap | null = null;
  private queue = new EditQueue();
  private strokes = new PendingStrokes();
  /** Aborted when something else is opened, or the person went back. */
  private opening = new AbortController();
  /** Aborted when the open session is left. */
  private leaving = new AbortController();

  constructor(readonly viewer: Viewer) {}

  // Opening.

  async openStudy(listed: ListedStudy): Promise<void> {
    await this.loadingWhile(`Opening ${listed.name}`, async (signal) => {
      const state = await api.createSession(listed.id);
      await this.show(await api.study(listed.id), state, signal);
    });
  }

  async openSession(id: string): Promise<void> {
    await this.loadingWhile("Reopening the session", async (signal) => {
      const state = await api.session(id);
      await this.show(await api.study(state.study), state, signal);
      void this.rejoin();
    });
  }

  async upload(files: File[]): Promise<void> {
    const what = files.length === 1 ? files[0]!.name : `${files.length} files`;
    const cancel = (): void => this.stopOpening();
    await this.loadingWhile(`Uploading ${what}`, async (signal) => {
      const study = await api.upload(
        files,
        (fraction) => {
          store.loading.value =
            fraction < 1
              ? { text: `Uploading ${what}`, fraction, cancel }
              : { text: `Reading ${what}`, fraction: null };
        },
        signal,
      );
      await this.show(study, await api.createSession(study.id), signal);
    });
  }

  /** Leaves what is open, and what was about to be. */
  close(): void {
    this.stopOpening();
    this.leave();
  }

  /** Stays with what is open. */
  stopOpening(): void {
    this.opening.abort();
    store.loading.value = null;
  }

  private leave(): void {
    this.leaving.abort();
    this.leaving = new AbortController();
    this.queue = new EditQueue();
    this.labels = null;
    this.strokes = new PendingStrokes();
    batch(() => {
      store.study.value = store.session.value = store.job.value = store.cursor.value = null;
      store.pendingClicks.value = [];
    });
  }

  private async show(study: Study, state: SessionState, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.leave();
    const text = `Loading ${study.name}`;
    store.loading.value = { text, fraction: null };
    const progress = (fraction: number): void => {
      if (!signal.aborted) store.loading.value = { text, fraction };
    };
    const nifti = await api.image(study.id, progress, signal);
    const window = limits(store.ctWindow.value);
    const labels = await this.viewer.open(nifti, study.shape, study.affine, window, signal);
    signal.throwIfAborted();
    this.labels = labels;
    batch(() => {
      store.study.value = study;
      store.session.value = state;
      store.hidden.value = new Set();
      store.automaticOpen.value = state.objects.length === 0;
    });
    this.viewer.announce();
    for (const warning of study.warnings) notify("info", warning);
    if (state.objects.length) await this.fetchLabels(labels.grid.whole());
    this.followSaving();
  }

  /** One opening at a time: the later of two wins, and one that is stopped opens nothing. */
  private async loadingWhile(
    text: string,
    work: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    this.stopOpening();
    this.opening = new AbortController();
    const { signal } = this.opening;
    store.loading.value = { text, fraction: null };
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted) report(error);
    } finally {
      if (!signal.aborted) store.loading.value = null;
    }
  }

  // Editing.

  click(voxel: Vec3, positive: boolean): void {
    const mark = { voxel, positive };
    store.pendingClicks.value = [...store.pendingClicks.value, mark];
    const position = this.labels!.grid.millimetres(voxel);
    void this.edit((s) => api.click(s.id, position, positive, s.active)).finally(() => {
      store.pendingClicks.value = store.pendingClicks.value.filter((m) => m !== mark);
    });
  }

  removeClick(object: number, index: number): void {
    void this.edit((s) => api.deleteClick(s.id, object, index));
  }

  addObject(what: { name?: string; class?: string | number } = {}): Promise<void> {
    return this.edit((s) => api.addObject(s.id, what));
  }

  /** The next object in the list, or a new one after the last, as the edits before leave it. */
  nextObject(): void {
    void this.edit((s) => {
      const at = s.objects.findIndex((o) => o.id === s.active);
      const next = s.objects[at + 1];
      return next ? api.changeObject(s.id, next.id, { active: true }) : api.addObject(s.id, {});
    });
  }

  changeObject(id: number, what: ThingChange): void {
    void this.edit((s) => api.changeObject(s.id, id, what));
  }

  /** Shows a colour while it is being chosen. */
  tryColour(id: number, color: Vec3): void {
    store.triedColour.value = { id, color };
  }

  recolour(id: number, color: Vec3): void {
    this.tryColour(id, color);
    void this.edit((s) => api.changeObject(s.id, id, { color })).finally(() => {
      store.triedColour.value = null;
    });
  }

  deleteObject(id: number): void {
    void this.edit((s) => api.deleteObject(s.id, id));
  }

  resetObject(id: number): void {
    void this.edit((s) => api.reset(s.id, id));
  }

  undo(): void {
    void this.edit((s) => api.undo(s.id));
  }

  redo(): void {
    void this.edit((s) => api.redo(s.id));
  }

  setOverlap(policy: OverlapPolicy): void {
    void this.edit((s) => api.overlap(s.id, policy));
  }

  /** Lets the server prepare the window around a place where a click is likely. */
  prefetch(voxel: Vec3): void {
    const state = store.session.value;
    if (!state || store.pending.value || store.job.value || !store.online.value) return;
    // Only a hint: where it is refused, the click itself will do the work.
    api.prefetch(state.id, this.labels!.grid.millimetres(voxel)).catch(() => {});
  }

  /** New objects from a mask or label map that somebody has already. */
  loadMasks(file: File): Promise<void> {
    const name = file.name.replace(/(\.seg)?\.(nii|nii\.gz|nrrd|mha)$/i, "");
    return this.edit((s) => api.addLabels(s.id, file, name));
  }

  // The brush.

  /** Shows a stroke that is being drawn. */
  preview(stroke: Stroke, touched: Box): void {
    this.strokes.add(stroke);
    this.strokes.paint(this.labels!, store.session.value!);
    this.viewer.refresh(touched);
  }

  /** Sends a finished stroke. */
  async commit(stroke: Stroke): Promise<void> {
    const box = stroke.box;
    if (!box) return;
    await this.edit(async (s) => {
      try {
        return await api.brush(s.id, stroke, box);
      } finally {
        this.strokes.drop(stroke); // from here on the server's labels say what it did
      }
    }, box);
  }

  // Automatic segmentation.

  async automatic(classes: (string | number)[] | "everything"): Promise<void> {
    await this.running((id) => api.automatic(id, classes));
  }

  /**
   * Finds the run that was under way when the session was opened: the page was reloaded, or the
   * run was begun elsewhere. Where it has ended since, its result is fetched.
   */
  private async rejoin(): Promise<void> {
    await this.running(async (id) => {
      const job = (await api.jobs(id)).find((j) => !isFinal(j));
      if (!job && (await api.session(id)).revision !== store.session.value?.revision) {
        await this.refresh();
      }
      return job;
    });
  }

  /** A run takes its turn among the edits: those asked for meanwhile wait for it. */
  private async running(begin: (session: string) => Promise<Job | undefined>): Promise<void> {
    const id = store.session.value?.id;
    const { signal } = this.leaving;
    await this.queue.add(async () => {
      if (!id || signal.aborted) return;
      try {
        const job = await begin(id);
        if (job && !signal.aborted) await this.follow(job, signal);
      } catch (error) {
        report(error);
      } finally {
        if (!signal.aborted) store.job.value = null;
      }
    });
  }

  private async follow(job: Job, signal: AbortSignal): Promise<void> {
    const last = await finished(job, (now) => (store.job.value = now), signal);
    if (last.state === "failed") notify("error", last.error?.message ?? last.message);
    if (last.state === "cancelled") notify("info", "Cancelled. Nothing was changed.");
    if (last.state === "done") store.automaticOpen.value = false;
    if (last.result) await this.apply(last.result);
    else await this.refresh();
  }

  async cancelJob(): Promise<void> {
    const job = store.job.value;
    if (job) await api.cancelJob(job.id).catch((error: unknown) => report(error));
  }

  // Saving and leaving.

  async export(format: ExportFormat): Promise<void> {
    const state = store.session.value;
    if (!state) return;
    // The server knows the session's id alone; the person's name for the scan stays here. Another
    // scan may be open when the file is there.
    const scan = store.study.value!.name.replace(/[^\p{L}\p{N}._-]+/gu, "_");
    try {
      const { blob, name } = await this.queue.add(() => api.export(state.id, format));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = name.replace(state.id, scan);
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch (error) {
      report(error);
    }
  }

  /** Shows what the server holds, after it was away. */
  async catchUp(): Promise<void> {
    await this.queue.add(() => this.refresh()).catch((error: unknown) => report(error));
  }

  /** Fetches the session's state and all labels again. */
  private async refresh(): Promise<void> {
    const id = store.session.value?.id;
    if (!id) return;
    this.adopt(await answered(id, () => api.session(id), this.leaving.signal));
    await this.fetchLabels(this.labels!.grid.whole());
  }

  /** Edits are on disk within a second; until then the header says so. */
  private followSaving(): void {
    const state = store.session.value;
    if (!state || state.saved) return;
    setTimeout(() => {
      const now = store.session.value;
      if (now?.id !== state.id || now.saved) return;
      api.session(state.id).then(
        (fresh) => {
          if (fresh.revision === store.session.value?.revision) store.session.value = fresh;
          this.followSaving();
        },
        () => this.followSaving(),
      );
    }, 700);
  }

  // How answers are shown.

  /** One edit: waits for its turn, survives a restart, shows what changed, reports what failed. */
  private async edit(work: (state: SessionState) => Promise<Edit>, alsoFetch?: Box): Promise<void> {
    const { signal } = this.leaving;
    await this.queue.add(async () => {
      const state = store.session.value;
      if (!state || signal.aborted) return;
      try {
        const outcome = await delivered(state, () => work(state), signal);
        if (signal.aborted) return;
        if ("edit" in outcome) await this.apply(outcome.edit, alsoFetch);
        else await this.refresh();
      } catch (error) {
        report(error);
        if (!alsoFetch || signal.aborted) return;
        await this.fetchLabels(alsoFetch).catch(() => {}); // takes a preview back
      }
    });
  }

  private async apply(edit: Edit, alsoFetch?: Box): Promise<void> {
    const before = store.session.value;
    if (edit.state.id !== before?.id) return;
    const redrawn = this.adopt(edit.state);
    // An edit counts one. More were made elsewhere, in another tab: nobody told where.
    const missed = edit.state.revision > before.revision + 1;
    const boxes = redrawn || missed ? [this.labels!.grid.whole()] : [edit.changed?.box, alsoFetch];
    const known = boxes.filter((box) => box !== undefined);
    if (known.length) await this.fetchLabels(known.reduce(union));
    this.followSaving();
  }

  /** Takes over what the server says of the session; whether all labels are to be fetched again. */
  private adopt(state: SessionState): boolean {
    const live = new Set(state.objects.map((o) => o.id));
    const redrawn = this.labels!.keep(live);
    batch(() => {
      store.session.value = state;
      // What is gone is not hidden: where a redo brings it back, it is seen.
      store.hidden.value = new Set([...store.hidden.value].filter((id) => live.has(id)));
    });
    return redrawn;
  }

  private async fetchLabels(box: Box): Promise<void> {
    const { id } = store.session.value!;
    const labels = this.labels!;
    const ids = await answered(id, () => api.labels(id, box), this.leaving.signal);
    labels.write(box, ids);
    this.strokes.paint(labels, store.session.value!);
    this.viewer.refresh(box);
    this.viewer.announce(); // the object under the crosshair may be another one now
  }
}
