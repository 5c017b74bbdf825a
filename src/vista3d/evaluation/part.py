"""Which of the scans of its data sets a run took."""

from __future__ import annotations

from dataclasses import dataclass

from vista3d.wording import counted


@dataclass(frozen=True)
class Part:
    """Scans taken, and scans that there are.

    Attributes:
        split: of the patients, or "all".
        scans: with a truth, in the split, as far as the run was to go.
        of: with a truth, in all splits.
    """

    split: str
    scans: int
    of: int

    def __str__(self) -> str:
        text = f"split {self.split}: {self.scans} of {counted(self.of, 'scan')}"
        left_out = self.split != "all" and self.scans < self.of
        return text + "; --split all takes all" * left_out

    @property
    def sentence(self) -> str:
        """The same, for a report."""
        return f"{str(self).capitalize()}."
