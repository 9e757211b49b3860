"""Lublin-1, a batch log of 256 processors, under the table of the SC'20 paper that published it (README there).

Ten sequences of 1,024 consecutive jobs, each on an empty machine, through the simulator: the production engine under
`strict` (and `backfill`), ordered by submission or by requested time. Exact to the printed digits for Lublin-1; another log
of the same layout is measured and shown, and nothing is claimed of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.references import Absent, Case, Outcome, all_met
from headway.core.policy import DISCIPLINES
from headway.sim.cluster import uniform
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Trace
from headway.sim.traces import read_trace

FILES = "batch_queue/lublin*.swf*"
#: The log that the table is of.
KNOWN = "lublin1_256"
STARTS = (1981, 2756, 4299, 8850, 3316, 2714, 5228, 7762, 4022, 7085)
LENGTH, PROCESSORS = 1024, 256
#: Policy -> mean bounded slowdown and utilisation, as printed.
PUBLISHED = {
    "fcfs, strict": (7273.77, 0.657),
    "sjf, strict": (277.35, 0.762),
    "fcfs, backfill": (235.82, 0.868),
    "sjf, backfill": (73.31, 0.778),
}


def run(case: Case) -> Outcome | Absent:
    """Every policy of the table whose discipline there is."""
    files = case.files(FILES)
    if not files:
        return Absent(f"no {FILES}")
    known = next((file for file in files if file.name.startswith(KNOWN)), None)
    starts = case.sample(STARTS)
    whole = known is not None and len(starts) == len(STARTS)
    rows: list[dict[str, Any]] = []
    for policy, published in PUBLISHED.items():
        if policy.partition(", ")[2] in DISCIPLINES:
            case.progress(f"lublin: {policy}")
            rows += compare(policy, measure(known or files[0], policy, starts), published if whole else None)
    wrong = [row for row in rows if whole and row["found"] != row["expected"]]
    cases = len(rows) if whole else 0
    detail = {"file": (known or files[0]).name, "sequences": len(starts), "table": rows}
    if not whole:
        detail["not_compared"] = "the table is of all ten sequences" if known else f"the table is of {KNOWN}"
    figures = (all_met("lublin", cases, cases - len(wrong)),) if whole else ()
    return Outcome(cases, cases - len(wrong), wrong[0] if wrong else None, detail, figures)


def compare(
    policy: str, found: tuple[float, float], published: tuple[float, float] | None
) -> list[dict[str, Any]]:
    """Slowdown and utilisation to the printed digits, beside those printed."""
    expected = published or (None, None)
    named = zip(("slowdown", "utilisation"), found, expected, (2, 3), strict=True)
    return [
        {"case": f"{policy} {name}", "expected": wanted, "found": round(value, digits)}
        for name, value, wanted, digits in named
    ]


def measure(path: Path, policy: str, starts: list[int]) -> tuple[float, float]:
    """Mean bounded slowdown and mean utilisation over the sequences."""
    log = read_trace(path, "swf")
    slowdowns, used = [], []
    for jobs in sequences(log, starts):
        result = simulate(
            jobs,
            uniform(1, cpu=PROCESSORS),
            f"{policy}, train_span=0",
            rules=Rules(
                together=False
            ),  # the simulator behind the table takes simultaneous events one by one
        )
        slowdowns.append(bounded_slowdown(result))
        used.append(utilisation(result))
    return sum(slowdowns) / len(slowdowns), sum(used) / len(used)


def sequences(log: Trace, starts: list[int]) -> Iterator[Trace]:
    """1,024 jobs from each place on that the log has, the whole log if it has none of them; each job of a kind of its own,
    so that nothing is learned from another."""
    jobs = [
        replace(job, task=replace(job.task, kind=job.task.id))
        for job in sorted(log.jobs, key=lambda job: int(job.task.id))
    ]
    for start in [start for start in starts if start + LENGTH <= len(jobs)] or [0]:
        yield Trace.of(f"{log.name} from {start}", jobs[start : start + LENGTH])


def bounded_slowdown(result: Result) -> float:
    """Mean of max(1, response / max(run time, 10 s))."""
    total = 0.0
    for record in result.records:
        response = record.ended - record.job.task.release
        total += max(1.0, response / max(record.job.duration, 10_000_000))
    return total / len(result.records)


def utilisation(result: Result) -> float:
    """Work over what the processors could do from the first submission to the last start."""
    work = sum(record.job.duration * record.job.task.demand.cpu for record in result.records)
    last = max(record.started for record in result.records)
    return work / ((last - result.start) * PROCESSORS * 1000)
