"""Names of label values that a label map's own file states.

NIfTI has them in a header extension, as the Caret XML label table that TotalSegmentator and
`results.label_map` write; 3D Slicer's .seg.nrrd has them in fields of its header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import unescape

_ROW = re.compile(
    r'<Label\b[^<>]*\bKey="(\d{1,5})"[^<>]*>\s*'
    r"(?:<!\[CDATA\[([^\]]{1,200})\]\]>|([^<>]{1,200}))\s*</Label>"
)
"""A value and its name, bare (TotalSegmentator puts it into CDATA) or escaped. No XML parser: the
file may come from anywhere, and nothing else in it is of interest."""

_SEGMENT = re.compile(r"Segment(\d{1,5})_Name")


def names_in_nifti(header: object) -> dict[int, str]:
    """Value -> name of the label table in a header of nibabel; empty where there is none."""
    names = {}
    for extension in getattr(header, "extensions", ()):
        content = extension.get_content()
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
        for key, bare, escaped in _ROW.findall(text):
            names[int(key)] = (bare or unescape(escaped)).strip()
    return _useful(names)


def names_in_nrrd(fields: Mapping[str, str]) -> dict[int, str]:
    """Value -> name of the segments that the header fields of a .seg.nrrd describe.

    Files of Slicer 4.10 and older state no values, and have no map of several segments either.
    """
    names = {}
    for key, name in fields.items():
        found = _SEGMENT.fullmatch(key)
        value = fields.get(f"Segment{found[1]}_LabelValue", "") if found else ""
        if re.fullmatch(r"\d{1,5}", value):
            names[int(value)] = name.strip()[:200]
    return _useful(names)


def _useful(names: dict[int, str]) -> dict[int, str]:
    return {value: name for value, name in names.items() if 0 < value < 65536 and name}
