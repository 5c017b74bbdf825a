"""docs/synthetic.md shows the table that the code draws from."""

from __future__ import annotations

from pathlib import Path

import pytest

from vista3d.training.synthetic.lesion_kinds import ORGANS, class_of
from vista3d.training.synthetic.lesion_types import LesionKind

DOCUMENT = Path(__file__).parents[3] / "docs" / "synthetic.md"
KINDS = [(name, kind) for name, organ in ORGANS.items() for kind in organ.kinds]


@pytest.mark.parametrize(("organ", "kind"), KINDS, ids=[kind.name for _, kind in KINDS])
def test_every_kind_has_its_row(organ: str, kind: LesionKind):
    size, density = kind.size, kind.density
    prefix = "organ " if density.relative else ""
    phases = [
        f"{prefix}{low:g}..{high:g}"
        for low, high in (density.native, density.arterial, density.venous)
    ]
    ids = sorted({class_of(kind, site) for site in ORGANS[organ].sites})
    row = [
        organ,
        kind.name,
        "/".join(map(str, ids)),
        f"{size.median:g} ({size.low:g}-{size.high:g})",
        *phases,
    ]
    assert f"| {' | '.join(row)} |" in DOCUMENT.read_text()
