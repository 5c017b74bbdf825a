"""Measured tables of a shipped model into the package, and its card into docs/.

    vista3d evaluate DATA --protocol auto -o EVAL      # and the other protocols, same folder
    python -m benchmarks model_card --evaluation EVAL --training RUN

Without folders the tables stay as they are, and only the card is written anew: after a change of
words or weights. What people say about a model is in src/vista3d/card/words/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import vista3d.card
from benchmarks.machine import describe
from vista3d.card import as_markdown, card_of, results_from

TABLES = Path(vista3d.card.__file__).parent / "results"
MODEL, CARD = "mini", Path("docs/model_card.md")


def main(arguments: list[str]) -> None:
    """Write both files."""
    parser = argparse.ArgumentParser("python -m benchmarks model_card", description=__doc__)
    parser.add_argument("--evaluation", type=Path, help="Folder of `vista3d evaluate`.")
    parser.add_argument("--training", type=Path, help="Folder of the `vista3d train` run.")
    parser.add_argument("--machine", help="What it was trained on. Default: this machine.")
    options = parser.parse_args(arguments)
    here = describe()
    machine = options.machine or f"{here['cores']} cores of {here['cpu']}"
    measured = results_from(options.evaluation, options.training, machine)
    if measured is not None:
        both = card_of(MODEL, measured).results
        (TABLES / f"{MODEL}.json").write_text(both.to_json(), encoding="utf-8")
    CARD.write_text(as_markdown(card_of(MODEL)), encoding="utf-8")
    print(f"{CARD} is up to date")
