/** The server's HTTP API, typed. The only file that knows its addresses. */

import type { Stroke } from "./brush";
import type {
  AnatomyClass,
  Box,
  Edit,
  ExportFormat,
  Info,
  Job,
  ListedStudy,
  OverlapPolicy,
  SessionState,
  SessionSummary,
  Study,
  ThingChange,
  Vec3,
} from "./types";

/** The server answered, and the answer is a refusal. `message` is written for people. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly kind: string,
    message: string,
    /** Seconds after which asking again makes sense; null where it does not. */
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

/** No answer: the server is not there, or the connection broke on the way. */
export class Unreachable extends Error {}

const ROOT = "/api/v1";

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new Unreachable("The server does not answer.", { cause });
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

/** The body of an answer, to its end. */
async function complete<T>(body: Promise<T>): Promise<T> {
  try {
    return await body;
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new Unreachable("The server's answer was cut off.", { cause });
  }
}

async function refusal(response: Response): Promise<ApiError> {
  const wait = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const body = (await response.json().catch(() => null)) as {
    error?: string;
    message?: string;
  } | null;
  return new ApiError(
    response.status,
    body?.error ?? response.statusText,
    body?.message ?? plainReason(response.status),
    Number.isFinite(wait) ? wait : null,
  );
}

function plainReason(status: number): string {
  if (status === 413) return "The file is larger than the server accepts.";
  return `The server answered with status ${status}. Its log says why.`;
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json" };
    init.body = JSON.stringify(body);
  }
  return (await complete((await send(ROOT + path, init)).json())) as T;
}

export const flat = (box: Box): string => box.flat().join(",");

export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Blob> {
  return new Response(new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

export const api = {
  healthy: async (): Promise<boolean> => {
    try {
      return (await fetch("/healthz", { cache: "no-store" })).ok;
    } catch {
      return false;
    }
  },
  info: () => json<Info>("GET", "/info"),
  classes: () => json<AnatomyClass[]>("GET", "/classes"),

  studies: () => json<ListedStudy[]>("GET", "/studies"),
  deleteStudy: (id: string) => send(`${ROOT}/studies/${id}`, { method: "DELETE" }),
  study: (id: string) => json<Study>("GET", `/studies/${id}`),
  /** The scan as gzipped NIfTI. `onProgress` hears the fraction received. */
  image: async (
    study: string,
    onProgress: (fraction: number) => void,
    signal: AbortSignal,
  ): Promise<ArrayBuffer> => {
    const response = await send(`${ROOT}/studies/${study}/image`, { signal });
    const size = Number(response.headers.get("Content-Length"));
    let received = 0;
    const counted = response.body!.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          received += chunk.length;
          if (size) onProgress(received / size);
          controller.enqueue(chunk);
        },
      }),
    );
    return complete(new Response(counted).arrayBuffer());
  },

  /** Sends files as one study. `onProgress` hears the fraction sent: `fetch` cannot say it. */
  upload: (files: File[], onProgress: (fraction: number) => void, signal: AbortSignal) =>
    new Promise<Study>((resolve, reject) => {
      const form = new FormData();
      for (const file of files) form.append("files", file, file.name);
      const request = new XMLHttpRequest();
      request.open("POST", `${ROOT}/studies`);
      request.upload.onprogress = (e) => e.lengthComputable && onProgress(e.loaded / e.total);
      request.onerror = () => reject(new Unreachable("The upload was cut off."));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      request.onload = () => {
        if (request.status === 201) resolve(JSON.parse(request.responseText) as Study);
        else {
          const headers = { "Retry-After": request.getResponseHeader("Retry-After") ?? "" };
          void refusal(
            new Response(request.responseText, { status: request.status, headers }),
          ).then(reject);
        }
      };
      signal.addEventListener("abort", () => request.abort());
      request.send(form);
    }),

  sessions: () => json<SessionSummary[]>("GET", "/sessions"),
  createSession: (study: string) => json<SessionState>("POST", "/sessions", { study }),
  session: (id: string) => json<SessionState>("GET", `/sessions/${id}`),
  deleteSession: (id: string) => send(`${ROOT}/sessions/${id}`, { method: "DELETE" }),

  addObject: (s: string, what: { name?: string; class?: string | number }) =>
    json<Edit>("POST", `/sessions/${s}/objects`, what),
  changeObject: (s: string, n: number, what: ThingChange) =>
    json<Edit>("PATCH", `/sessions/${s}/objects/${n}`, what),
  /** Makes objects of the values of a label map on the scan's grid; `name`: of a single one. */
  addLabels: async (s: string, file: File, name: string) => {
    const query = new URLSearchParams({ name: name.slice(0, 120) });
    const response = await send(`${ROOT}/sessions/${s}/labels?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });
    return (await complete(response.json())) as Edit;
  },
  deleteObject: (s: string, n: number) => json<Edit>("DELETE", `/sessions/${s}/objects/${n}`),
  click: (s: string, position: Vec3, positive: boolean, object: number | null) =>
    json<Edit>("POST", `/sessions/${s}/clicks`, {
      position,
      space: "ras",
      positive,
      ...(object === null ? {} : { object }),
    }),
  deleteClick: (s: string, object: number, index: number) =>
    json<Edit>("DELETE", `/sessions/${s}/clicks`, { object, index }),
  prefetch: (s: string, position: Vec3) =>
    send(`${ROOT}/sessions/${s}/prefetch`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ position, space: "ras" }),
    }),
  undo: (s: string) => json<Edit>("POST", `/sessions/${s}/undo`),
  redo: (s: string) => json<Edit>("POST", `/sessions/${s}/redo`),
  reset: (s: string, object: number) => json<Edit>("POST", `/sessions/${s}/reset`, { object }),
  overlap: (s: string, policy: OverlapPolicy) =>
    json<Edit>("PUT", `/sessions/${s}/overlap`, { policy }),

  /** A stroke of the brush or the eraser; its voxels are 1 in `box`, i fastest. */
  brush: async (s: string, stroke: Stroke, box: Box) => {
    const body = await gzip(stroke.voxels(box));
    const query = `object=${stroke.object}&box=${flat(box)}&adds=${stroke.adds}`;
    const response = await send(`${ROOT}/sessions/${s}/brush?${query}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body,
    });
    return (await complete(response.json())) as Edit;
  },

  /** Object ids of a box, i fastest, 0 where there is none. */
  labels: async (s: string, box?: Box): Promise<Uint16Array> => {
    const query = box ? `?box=${flat(box)}` : "";
    const response = await send(`${ROOT}/sessions/${s}/labels${query}`);
    return new Uint16Array(await complete(response.arrayBuffer()));
  },

  automatic: (s: string, classes: (string | number)[] | "everything") =>
    json<Job>("POST", `/sessions/${s}/automatic`, { classes }),
  /** Oldest first, without their results. */
  jobs: (s: string) => json<Job[]>("GET", `/sessions/${s}/jobs`),
  job: (id: string) => json<Job>("GET", `/jobs/${id}`),
  cancelJob: (id: string) => send(`${ROOT}/jobs/${id}`, { method: "DELETE" }),
  jobEvents: (id: string) => new EventSource(`${ROOT}/jobs/${id}/events`),

  export: async (s: string, format: ExportFormat): Promise<{ blob: Blob; name: string }> => {
    const response = await send(`${ROOT}/sessions/${s}/export?format=${format}`);
    const disposition = response.headers.get("Content-Disposition") ?? "";
    const named = /filename="?([^";]+)"?/.exec(disposition)?.[1];
    return {
      blob: await complete(response.blob()),
      name: named ?? `segmentation.${EXTENSION[format]}`,
    };
  },
};

const EXTENSION: Record<ExportFormat, string> = {
  nii: "nii.gz",
  "seg.nrrd": "seg.nrrd",
  "dicom-seg": "dcm",
  "dicom-labelmap": "dcm",
  rtstruct: "dcm",
  stl: "zip",
};
