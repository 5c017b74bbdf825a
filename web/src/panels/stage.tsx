/** The views, and what is drawn above them: clicks, the brush's outline. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Annotator } from "../annotator";
import * as pointer from "../pointer";
import * as store from "../store";
import { Viewer } from "../viewer";

interface Dot {
  x: number;
  y: number;
  kind: string;
}

export function Stage({ onReady }: { onReady: (annotator: Annotator) => void }) {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const viewer = useRef<Viewer | null>(null);
  const dots = useSignal<Dot[]>([]);
  const failure = useSignal<string | null>(null);

  const place = (): void => {
    const session = store.session.value;
    if (!viewer.current || !session) {
      if (dots.peek().length) dots.value = [];
      return;
    }
    const clicks = store.active.value?.clicks ?? [];
    const marks = [
      ...clicks.map((c) => ({ voxel: c.voxel, kind: c.positive ? "add" : "remove" })),
      ...store.pendingClicks.value.map((c) => ({
        voxel: c.voxel,
        kind: `${c.positive ? "add" : "remove"} waiting`,
      })),
    ];
    dots.value = marks.flatMap(({ voxel, kind }) =>
      viewer.current!.places(voxel).map(([x, y]) => ({ x, y, kind })),
    );
  };

  useEffect(() => {
    Viewer.attach(canvas.current!).then(
      (attached) => {
        viewer.current = attached;
        const annotator = new Annotator(attached);
        attached.onRedraw = place;
        pointer.listen(frame.current!, annotator);
        onReady(annotator);
      },
      (error: unknown) => {
        console.error(error);
        failure.value =
          "This browser cannot show scans: it has no WebGL2. Use a current Firefox, Chrome, Edge or Safari, with graphics acceleration on.";
      },
    );
  }, []);
  useEffect(place, [store.session.value, store.pendingClicks.value]);

  const brush = pointer.brushCursor.value;
  const tool = store.tool.value;
  return (
    <div class={`stage tool-${tool}`} ref={frame}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label="Axial, coronal and sagittal slices and a 3D view. Arrow keys and Page keys move the crosshair; with the click tool, Enter clicks at the crosshair."
      />
      <svg class="marks" aria-hidden="true">
        {dots.value.map((d, index) => (
          <g key={index} class={`mark ${d.kind}`} transform={`translate(${d.x} ${d.y})`}>
            <circle r={5.5} />
            <path d={d.kind.startsWith("add") ? "M-2.5 0h5M0 -2.5v5" : "M-2.5 0h5"} />
          </g>
        ))}
        {brush && <circle class="brush" cx={brush.x} cy={brush.y} r={brush.radius} />}
      </svg>
      {failure.value && (
        <p class="failure" role="alert">
          {failure.value}
        </p>
      )}
    </div>
  );
}
