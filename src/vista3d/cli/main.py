"""`vista3d`: the table of commands. A command's module is imported when it is called."""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys

from vista3d import __version__
from vista3d.errors import UsageError, Vista3DError

EXIT_CODES = (
    "Exit codes: 0 done, 1 unexpected, 2 usage, 3 some cases failed, 4 unreadable input, "
    "5 not enough memory, 6 weights missing, 7 archive unreachable or refusing, 130 cancelled."
)

COMMANDS = {
    "segment": "Segment CT scans automatically.",
    "click": "Segment an object by clicks, or correct an automatic result.",
    "serve": "Open scans in a browser: the annotator page and its API.",
    "pacs": "Find, fetch and store series in a DICOMweb archive.",
    "classes": "List and search what can be segmented.",
    "phantom": "Make synthetic torso CTs with ground truth.",
    "synthesise": "Paint lesions into a CT, or draw a CT from a label map.",
    "sample": "Fetch a small public CT.",
    "doctor": "Say what this machine can do and how long a case takes.",
    "download": "Fetch the published weights.",
    "convert": "Convert checkpoints between layouts.",
    "card": "Say what a model is, how well it works and where it fails.",
    "data": "Check, tabulate or pseudo-label data sets.",
    "supervoxels": "Cut CT scans into supervoxels that follow anatomy.",
    "evaluate": "Measure a model by the protocols of the paper, and compare runs.",
    "train": "Train a model on partially labelled data sets.",
    "finetune": "Adapt a model to new structures from a few annotated scans.",
}
"""Name -> help line. Command `x` is the function `x` of `vista3d.cli.x`."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    options = _parser().parse_args(args)
    level = {0: logging.WARNING, 1: logging.INFO}.get(options.verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    try:
        _run(options.command, options.arguments)
    except Vista3DError as error:
        if options.debug or os.environ.get("VISTA3D_DEBUG"):
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("cancelled\n")
        sys.exit(130)


def _parser() -> argparse.ArgumentParser:
    """The options before the command; standard library only, so that --help answers at once."""
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:{width}}  {line}" for name, line in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="vista3d",
        usage="vista3d [-v] [--debug] COMMAND [ARGUMENTS]",
        description=(
            "VISTA3D: promptable 3D CT segmentation. Research software, not a medical device.\n\n"
            f"commands (vista3d COMMAND --help says more):\n{listing}"
        ),
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vista3d {__version__}")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log decisions (-vv: details)"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("command", metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _run(name: str, arguments: list[str]) -> None:
    """Import the command and hand over its arguments; leaves by SystemExit."""
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(COMMANDS)}"
        msg = f"unknown command {name!r}: {hint}"
        raise UsageError(msg)
    import typer

    function = getattr(importlib.import_module(f"vista3d.cli.{name}"), name)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name=name, epilog=EXIT_CODES)(function)
    app(args=arguments, prog_name=f"vista3d {name}")
