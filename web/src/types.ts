/** What the server says and hears: the shapes of `/api/v1`. */

export type Vec3 = [number, number, number];
export type Matrix4 = number[][];

/** Half-open index ranges of the scan's grid: [[i0, i1], [j0, j1], [k0, k1]]. */
export type Box = [[number, number], [number, number], [number, number]];

export interface Info {
  version: string;
  model: { name: string; spacing_mm: number | number[]; classes: number; licence: string };
  research_notice: string;
  limits: { upload_bytes: number };
  token_required: boolean;
}

export interface AnatomyClass {
  id: number;
  name: string;
  group: string;
  color: Vec3;
  /** The resident model learned it. */
  trained: boolean;
}

interface StudyBase {
  id: string;
  name: string;
  source: "upload" | "folder";
  /** How it was stored, such as "dicom"; empty before it was opened for the first time. */
  format: string;
  created: string;
  warnings: string[];
  sessions: string[];
}

/** A scan that has been read. */
export interface Study extends StudyBase {
  shape: Vec3;
  spacing: Vec3;
  /** Voxel index (i, j, k) to RAS millimetres. */
  affine: Matrix4;
}

/** A scan in the list: one of a folder has no grid before it is opened for the first time. */
export interface ListedStudy extends StudyBase {
  shape: Vec3 | null;
}

export type OverlapPolicy = "overwrite" | "keep_existing" | "allow_overlap";

export interface Click {
  position_ras: Vec3;
  voxel: Vec3;
  positive: boolean;
}

export interface Thing {
  id: number;
  name: string;
  class_id: number | null;
  color: Vec3;
  locked: boolean;
  voxels: number;
  volume_ml: number;
  clicks: Click[];
}

/** What may be changed of an object without touching its voxels. */
export interface ThingChange {
  name?: string;
  locked?: boolean;
  color?: Vec3;
  active?: true;
}

export interface SessionState {
  id: string;
  study: string;
  revision: number;
  overlap: OverlapPolicy;
  active: number | null;
  undo: number;
  redo: number;
  saved: boolean;
  objects: Thing[];
}

export interface SessionSummary {
  id: string;
  study: string;
  revision: number;
  updated: string;
}

export interface Edit {
  state: SessionState;
  /** Holds every voxel whose label changed. */
  changed: { box: Box } | null;
}

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  session: string;
  kind: string;
  state: JobState;
  progress: number;
  message: string;
  error?: { error: string; message: string } | null;
  result?: Edit | null;
}

export type ExportFormat = "nii" | "seg.nrrd" | "dicom-seg" | "dicom-labelmap" | "rtstruct" | "stl";
