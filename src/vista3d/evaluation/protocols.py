"""The paper's experiments by name (Table 1, Fig. 5), each in a clean and in a released version."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from vista3d.errors import UsageError

if TYPE_CHECKING:
    from vista3d.evaluation.answer import Answer
    from vista3d.evaluation.case import Target
    from vista3d.evaluation.scan import Scan

Run = Callable[["Scan", Sequence["Target"], Sequence[int]], Iterator["Answer"]]
"""scan, targets, click budgets -> one answer for each target and budget."""


@dataclass(frozen=True)
class Protocol:
    """One experiment.

    Attributes:
        name: on the command line.
        about: what is done, for people.
        targets: "known" to the model, or "novel": all others.
        clicks: default budgets; () where the protocol has none of its own to choose.
        clean, official: module and function of either version.
    """

    name: str
    about: str
    targets: Literal["known", "novel"]
    clicks: tuple[int, ...]
    clean: str
    official: str

    def function(self, official: bool) -> Run:
        """The version asked for; imported on use, torch comes with it."""
        module, name = (self.official if official else self.clean).split(":")
        return cast(Run, getattr(importlib.import_module(f"{__package__}.{module}"), name))


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "auto", "automatic, by class", "known", (),
            "clean.automatic:automatic", "official.automatic:automatic",
        ),
        Protocol(
            "point", "one click, from nothing", "known", (1,),
            "clean.clicks:clicked", "official.point:point",
        ),
        Protocol(
            "auto+point", "automatic, corrected by clicks", "known", (1,),
            "clean.clicks:corrected", "official.auto_point:auto_point",
        ),
        Protocol(
            "clicks", "clicks from nothing", "known", (1, 2, 5, 10, 20),
            "clean.clicks:clicked", "official.iterative:clicked",
        ),
        Protocol(
            "zero-shot", "clicks on structures unknown to the model", "novel", (1, 2, 5, 10, 20),
            "clean.clicks:zero_shot", "official.iterative:zero_shot",
        ),
    )
}  # fmt: skip


def protocol(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROTOCOLS:
        msg = f"unknown protocol {name!r}: one of {', '.join(PROTOCOLS)}"
        raise UsageError(msg)
    return PROTOCOLS[name]


def takes_clicks(chosen: Protocol, official: bool) -> bool:
    """Whether a protocol has click budgets to choose."""
    return len(chosen.clicks) > 1 or (chosen.name == "auto+point" and not official)


def budgets(chosen: Protocol, official: bool, asked: Sequence[int] | None) -> tuple[int, ...]:
    """The click budgets of a run, ascending; (0,) for automatic results.

    Raises:
        UsageError: budgets for a protocol that has no choice of them, or none that can be meant.
    """
    if asked is None:
        return chosen.clicks or (0,)
    if not takes_clicks(chosen, official):
        rules = "the official " if official else ""
        msg = f"{rules}protocol {chosen.name!r} has no click budgets to choose: leave out --clicks"
        raise UsageError(msg)
    # Before the first correction there is an automatic result; before the first click, nothing.
    least = 0 if chosen.name == "auto+point" else 1
    if not asked or min(asked) < least:
        msg = f"click budgets {list(asked)} must be whole numbers from {least} on, such as 1,2,5"
        raise UsageError(msg)
    return tuple(sorted(set(asked)))
