"""Do our algorithms meet the published numbers? One JSON object a set, then the figures line.

    python -m benchmarks.reference --data ../shared/bench -o json
    python -m benchmarks.reference --data ../shared/bench --sets rcpsp weighted --limit 40

Each set prints `{"set", "cases", "met", "worst", "detail"}`: how many comparisons were made, how many came
out as they should, and the one that is furthest off. A set whose files are not in the folder is named and
skipped, with the reason in `detail`. The exit status is 1 when a limit is missed. Deterministic: seeds and
steps are fixed, so two runs print the same numbers (times are not printed).
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.harness import HERE, report
from benchmarks.references import Absent, Case, Figure, Outcome

#: In the order of the issue. Each is the module `benchmarks.references.<name>`.
SETS = (
    "lublin", "gang", "openb", "rcpsp", "weighted", "dag",
    "heft", "drf", "hpa", "node_scores", "node_packing", "queueing",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sets asked for.

    Returns:
        The exit status: 1 if a limit is missed.
    """
    options = _parser().parse_args(arguments)
    if not options.data.is_dir():
        print(
            f"no folder {options.data}\n  give the reference data with --data or HEADWAY_BENCH_DATA",
            file=sys.stderr,
        )
        return 2
    case = Case(options.data, options.limit)
    figures: list[Figure] = []
    for name in options.sets:
        found = _run(name, case)
        if isinstance(found, Outcome):
            figures += found.figures
        _show(name, found, options.output)
    if options.output == "table":
        return report("reference", figures)
    shown = [asdict(figure) | {"ok": figure.ok} for figure in figures]
    print(json.dumps({"bench": "reference", "figures": shown}))
    return 1 if any(figure.ok is False for figure in figures) else 0


def data_folder() -> Path:
    """Where the reference data is unless --data says otherwise: HEADWAY_BENCH_DATA, or beside the clone."""
    return Path(os.environ.get("HEADWAY_BENCH_DATA") or HERE.parent.parent / "shared" / "bench")


def _run(name: str, case: Case) -> Outcome | Absent:
    case.progress(f"{name} …")
    module = importlib.import_module(f"benchmarks.references.{name}")
    found: Outcome | Absent = module.run(case)
    return found


def _show(name: str, found: Outcome | Absent, output: str) -> None:
    if isinstance(found, Absent):
        found = Outcome(0, 0, None, {"skipped": found.reason})
    line: dict[str, Any] = {
        "set": name, "cases": found.cases, "met": found.met, "worst": found.worst, "detail": found.detail,
    }  # fmt: skip
    if output == "json":
        print(json.dumps(line), flush=True)
    elif "skipped" in found.detail:
        print(f"{name}: skipped: {found.detail['skipped']}")
    else:
        print(f"{name}: {found.met} of {found.cases} met; worst: {found.worst}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reference", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, default=data_folder(), help="folder of the reference data")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument("--limit", type=int, help="at most so many instances or seeds of each kind")
    return parser


if __name__ == "__main__":
    sys.exit(main())
