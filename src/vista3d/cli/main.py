"""`vista3d`: the table of commands. A command's module is imported when it is called."""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING

from vista3d import __version__
from vista3d.errors import UsageError, Vista3DError

if TYPE_CHECKING:
    import typer

EXIT_CODES = (
    "Exit codes: 0 done, 1 unexpected (such as a full disk), 2 usage, 3 some cases failed, "
    "4 unreadable input, 5 not enough memory, 6 weights missing, 7 archive unreachable or "
    "refusing, 130 cancelled."
)

GROUPS = {
    "segment scans": {
        "segment": "Segment scans automatically.",
        "click": "Segment an object by clicks, or correct an automatic result.",
        "serve": "Open scans in a browser: the annotator page and its API.",
        "pacs": "Find, fetch and store series in a DICOMweb archive.",
        "supervoxels": "Cut CT scans into supervoxels that follow anatomy.",
    },
    "scans to try": {
        "phantom": "Make synthetic torso CTs with ground truth.",
        "sample": "Fetch a small public CT.",
        "synthesise": "Paint lesions into a CT, or draw a CT from a label map.",
    },
    "models and this machine": {
        "classes": "List and search what can be segmented.",
        "doctor": "Say what this machine can do and how long a case takes.",
        "card": "Say what a model is, how well it works and where it fails.",
        "download": "Fetch the published weights.",
        "convert": "Convert checkpoints between layouts.",
    },
    "learning": {
        "evaluate": "Measure a model by the protocols of the paper, and compare runs.",
        "calibrate": "Choose what each class must win by, on training scans.",
        "finetune": "Adapt a model to new structures from a few annotated scans.",
        "data": "Check, tabulate or pseudo-label data sets.",
        "train": "Train a model on partially labelled data sets.",
    },
}
"""Purpose -> name -> help line. Command `x` is the function `x` of `vista3d.cli.x`."""

COMMANDS = {name: line for group in GROUPS.values() for name, line in group.items()}

FIRST_STEPS = """\
first steps:
  vista3d phantom -o demo
  vista3d segment demo/phantom_0000_ct.nii.gz -o demo/out --preview"""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code."""
    parser = _parser()
    options = parser.parse_args(args)
    if options.command is None:
        parser.print_help()
        sys.exit(2)
    level = {0: logging.WARNING, 1: logging.INFO}.get(options.verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    try:
        _run(options.command, options.arguments)
    except (Vista3DError, OSError, ModuleNotFoundError) as error:
        if options.debug or os.environ.get("VISTA3D_DEBUG"):
            raise
        sys.stderr.write(f"error: {_in_words(error, options.command)}\n")
        sys.exit(error.exit_code if isinstance(error, Vista3DError) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("cancelled\n")
        sys.exit(130)


EXTRAS = {"finetune": "train", "calibrate": "evaluate"}
"""Command -> the extra that it comes with, where their names differ."""


def _in_words(error: Exception, command: str) -> str:
    """Our errors say it themselves; the system's name a file and what is wrong with it."""
    if isinstance(error, ModuleNotFoundError):
        return _how_to_get(str(error.name).split(".")[0], EXTRAS.get(command, command))
    if not isinstance(error, OSError):
        return str(error)
    place = "" if error.filename is None else f"'{error.filename}': "
    return f"{place}{error.strerror or error}"


def _how_to_get(module: str, preferred: str) -> str:
    """What to install for a package that is not there, as our own metadata names it."""
    from importlib.metadata import requires

    extras = []
    for line in requires("vista3d") or ():
        package = re.split(r"[^\w-]", line, maxsplit=1)[0].replace("-", "_")
        extra = re.search(r"extra == ['\"](\w+)", line)
        if package.lower() == module.lower() and extra and extra[1] != "test":
            extras.append(extra[1])
    if extras:
        chosen = preferred if preferred in extras else extras[0]
        return f"this needs the package {module!r}: pip install 'vista3d[{chosen}]'"
    return f"this needs the package {module!r}, which is not installed"


def _parser() -> argparse.ArgumentParser:
    """The options before the command; standard library only, so that --help answers at once."""
    width = max(map(len, COMMANDS))
    listing = "\n\n".join(
        "\n".join([f"{title}:", *(f"  {name:{width}}  {line}" for name, line in group.items())])
        for title, group in GROUPS.items()
    )
    parser = argparse.ArgumentParser(
        prog="vista3d",
        usage="vista3d [-v] [--debug] COMMAND [ARGUMENTS]",
        description=(
            "VISTA3D: promptable 3D CT segmentation. Research software, not a medical device.\n"
            f"`vista3d COMMAND --help` says more.\n\n{listing}\n\n{FIRST_STEPS}"
        ),
        epilog=textwrap.fill(EXIT_CODES, 88),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vista3d {__version__}")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="log decisions (-vv: details)"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("command", nargs="?", metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _run(name: str, arguments: list[str]) -> None:
    """Import the command and hand over its arguments; leaves by SystemExit."""
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(COMMANDS)}"
        msg = f"unknown command {name!r}: {hint}"
        raise UsageError(msg)
    make_app(name)(args=arguments, prog_name=f"vista3d {name}")


def make_app(name: str) -> typer.Typer:
    """The parser of one command."""
    import typer

    function = getattr(importlib.import_module(f"vista3d.cli.{name}"), name)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    helps = {"help_option_names": ["--help", "-h"]}
    app.command(name=name, epilog=EXIT_CODES, context_settings=helps)(function)
    return app
