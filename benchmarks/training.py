"""Training throughput: our stage loop beside the released one, restated from MONAI parts.

Same scans, same sizes of the network, five rounds of clicks on at most four objects a patch
(`clicks`, stage 2) or at most 32 present and 4 absent classes (`classes`, stage 3). Every contender
runs in a process of its own, interleaved. Patches are drawn in line, so that nothing is hidden
behind anything: voxels per second are those of a patch over the median of the seconds to draw it
and to learn from it. On a machine that does other work, read the speed-up by seconds of all cores.

With the sizes of `mini`, for which MONAI builds no VISTA3D, the restated loop runs our network, and
`ours-mini` is the stage of the recipe that the shipped model was trained by: other work per patch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, in_subprocess

DATA = Path("../shared/data/Dataset103_TorsoPseudo")
CONTENDERS = ("monai-fp32", "monai-bf16", "ours-paper", "ours-mini")
"""The first one is what the others are compared with."""


def main(arguments: list[str]) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser("python -m benchmarks training", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sizes", choices=("official", "mini"), default="mini")
    parser.add_argument("--stages", default="clicks,classes")
    parser.add_argument("--patch", type=int, default=64, help="Voxels per side.")
    parser.add_argument("--patches", type=int, default=4, help="Timed, per process.")
    parser.add_argument("--warm-up", type=int, default=1, help="Patches before them.")
    parser.add_argument("--repeats", type=int, default=2, help="Processes per contender.")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("-o", "--output", type=Path, help="Write the results as JSON.")
    options = parser.parse_args(arguments)
    names = [
        name for name in options.contenders.split(",")
        if options.sizes == "mini" or name != "ours-mini"
    ]  # fmt: skip
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for stage in options.stages.split(","):
            runs = _run(names, options, stage, folder)
            rows += _rows(names, runs, stage)
    report = {
        "machine": describe(),
        **{
            key: getattr(options, key)
            for key in ("sizes", "patch", "patches", "repeats", "warm_up")
        },
        "rows": rows,
    }
    print(f"\n{as_markdown(report)}")
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")


def _run(
    names: list[str], options: argparse.Namespace, stage: str, folder: str
) -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(options.repeats):
        for name in names:
            result = in_subprocess(
                "benchmarks.training_contender", name, options.sizes, stage, str(options.patch),
                str(options.warm_up + options.patches), str(options.data), folder,
            )  # fmt: skip
            result["taken"] = result["taken"][options.warm_up :]
            runs[name].append(result)
            print(f"{stage} {name}: {_median([result], 'cpu'):.2f} s", file=sys.stderr, flush=True)
    return runs


def _rows(
    names: list[str], runs: dict[str, list[dict[str, Any]]], stage: str
) -> list[dict[str, Any]]:
    """Medians over all patches of all processes, and the speed-up over the first contender."""
    rows: list[dict[str, Any]] = []
    for name in names:
        seconds, cpu = (_median(runs[name], clock) for clock in ("wall", "cpu"))
        first = rows[0] if rows else {"seconds": seconds, "cpu_seconds": cpu}
        rows.append(
            {
                "stage": stage,
                "name": name,
                "patches": sum(len(run["taken"]) for run in runs[name]),
                "draw_cpu_seconds": _median(runs[name], "cpu", ("draw",)),
                "cpu_seconds": cpu,
                "seconds": seconds,
                "voxels_per_second": runs[name][0]["patch"] ** 3 / seconds,
                "speedup": first["seconds"] / seconds,
                "cpu_speedup": first["cpu_seconds"] / cpu,
                "peak_gib": max(run["peak_gib"] for run in runs[name]),
            }
        )
    return rows


def _median(
    runs: list[dict[str, Any]], clock: str, parts: tuple[str, ...] = ("draw", "learn")
) -> float:
    """Seconds a patch, over all patches of all processes."""
    taken = [patch for run in runs for patch in run["taken"]]
    return statistics.median(sum(patch[part][clock] for part in parts) for patch in taken)


def as_markdown(report: dict[str, Any]) -> str:
    """The machine in a line, then a table."""
    lines = [
        f"{report['sizes']} sizes, patches of {report['patch']}^3.",
        ", ".join(f"{key} {value}" for key, value in report["machine"].items()),
        "",
        "| stage | contender | patches | s | of cores | of those to draw | voxels/s | speed-up |"
        " by cores | peak GiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['stage']} | {row['name']} | {row['patches']} | {row['seconds']:.2f} | "
        f"{row['cpu_seconds']:.2f} | {row['draw_cpu_seconds']:.2f} | "
        f"{row['voxels_per_second']:,.0f} | {row['speedup']:.1f}x | {row['cpu_speedup']:.1f}x | "
        f"{row['peak_gib']:.2f} |"
        for row in report["rows"]
    ]
    return "\n".join(lines)
