/** The menu of file formats. */

import { useRef } from "preact/hooks";
import { useAnnotator } from "../context";
import { Icon } from "../icons";
import * as store from "../store";
import type { ExportFormat } from "../types";

const FORMATS: { format: ExportFormat; name: string; what: string }[] = [
  { format: "nii", name: "NIfTI", what: "One label map on the scan's grid" },
  { format: "seg.nrrd", name: "seg.nrrd", what: "Segments with names and colours, for 3D Slicer" },
  { format: "stl", name: "STL", what: "One surface for each object, in a zip" },
];

const OF_DICOM: typeof FORMATS = [
  { format: "dicom-seg", name: "DICOM SEG", what: "For PACS and viewers, OHIF among them" },
  {
    format: "dicom-labelmap",
    name: "DICOM SEG, label map",
    what: "Many times smaller; for recent readers only",
  },
  { format: "rtstruct", name: "DICOM RTSTRUCT", what: "Contours for radiotherapy planning" },
];

export function ExportMenu() {
  const annotator = useAnnotator();
  const menu = useRef<HTMLDetailsElement>(null);
  const isDicom = store.study.value?.format === "dicom";
  const item = ({ format, name, what }: (typeof FORMATS)[number]) => (
    <button
      type="button"
      key={format}
      onClick={() => {
        menu.current?.removeAttribute("open");
        void annotator.export(format);
      }}
    >
      <strong>{name}</strong>
      <span class="quiet">{what}</span>
    </button>
  );
  return (
    <details
      class="menu"
      ref={menu}
      onKeyDown={(e) => e.key === "Escape" && menu.current?.removeAttribute("open")}
      onFocusOut={(e) => {
        if (!menu.current?.contains(e.relatedTarget as Node | null))
          menu.current?.removeAttribute("open");
      }}
    >
      <summary class="button">
        <Icon name="export" /> Export
      </summary>
      <div class="menu-items" role="group" aria-label="Export formats">
        {FORMATS.map(item)}
        {isDicom ? (
          OF_DICOM.map(item)
        ) : (
          <p class="quiet">
            DICOM SEG and RTSTRUCT refer to the images of a DICOM series; this scan is not one.
          </p>
        )}
      </div>
    </details>
  );
}
