"""Who is held out: by patient, from a hash, so that adding cases moves nobody (paper section 4.1).

The official lists shuffle once with a seed (facts 3.1): one more scan, and every patient may change
sides. Here a patient's place is a number u in [0, 1) that depends on the seed and the name alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from vista3d.errors import InputError

Split = Literal["train", "validation", "test"]
"""The later, the less may be done with a scan."""


@dataclass(frozen=True)
class Shares:
    """Shares of the patients; the paper's 64/16/20 by default.

    Raises:
        InputError: negative, or not 1 in total.
    """

    train: float = 0.64
    validation: float = 0.16
    test: float = 0.20

    def __post_init__(self) -> None:
        parts = (self.train, self.validation, self.test)
        if min(parts) < 0 or abs(sum(parts) - 1) > 1e-9:
            msg = (
                f"splits {list(parts)} must be three shares (train, validation, test) that sum to 1"
            )
            raise InputError(msg)

    def without_test(self) -> Shares:
        """The test share given to training."""
        return Shares(self.train + self.test, self.validation, 0.0)


def place(patient: str, seed: int) -> float:
    """The patient's number in [0, 1)."""
    digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(patient: str, shares: Shares, seed: int = 0) -> Split:
    """Validation lies at the bottom of [0, 1), then test, then training.

    The order keeps everybody's side when the test share of a data set is given to training.
    """
    u = place(patient, seed)
    if u < shares.validation:
        return "validation"
    return "test" if u < shares.validation + shares.test else "train"
