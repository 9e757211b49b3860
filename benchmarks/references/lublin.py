"""Lublin-1, a batch log of 256 processors, under the table of the SC'20 paper that published it (README there).

Ten sequences of 1,024 consecutive jobs, each on an empty machine, through the simulator: the production engine under
`strict` (and `backfill`), ordered by submission or by requested time. Exact to the printed digits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.references import Absent, Case, Outcome, all_met
from headway.core.policy import DISCIPLINES
from headway.sim.cluster import uniform
from headway.sim.records import Result, Rules
from headway.sim.simulate import simulate
from headway.sim.trace import Trace
from headway.sim.traces import read_trace

FILES = "batch_queue/lublin*.swf*"
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
    cases = met = 0
    rows, worst = [], None
    for policy, (slowdown, utilisation) in PUBLISHED.items():
        if policy.partition(", ")[2] not in DISCIPLINES:
            continue
        case.progress(f"lublin: {policy}")
        found = measure(files[0], policy, case.sample(STARTS))
        whole = case.limit is None or case.limit >= len(STARTS)
        for name, value, wanted, digits in (
            ("slowdown", found[0], slowdown, 2), ("utilisation", found[1], utilisation, 3),
        ):  # fmt: skip
            row = {"case": f"{policy} {name}", "expected": wanted, "found": round(value, digits)}
            rows.append(row)
            if whole:
                cases += 1
                met += row["found"] == wanted
                if row["found"] != wanted and worst is None:
                    worst = row
    detail = {"file": files[0].name, "sequences": len(case.sample(STARTS)), "table": rows}
    return Outcome(cases, met, worst, detail, (all_met("lublin", cases, met),) if cases else ())


def measure(path: Path, policy: str, starts: list[int]) -> tuple[float, float]:
    """Mean bounded slowdown and mean utilisation over the sequences."""
    log = read_trace(path, "swf")
    slowdowns, used = [], []
    for start in starts:
        result = simulate(
            sequence(log, start),
            uniform(1, cpu=PROCESSORS),
            f"{policy}, train_span=0",
            rules=Rules(
                together=False
            ),  # the simulator behind the table takes simultaneous events one by one
        )
        slowdowns.append(bounded_slowdown(result))
        used.append(utilisation(result))
    return sum(slowdowns) / len(slowdowns), sum(used) / len(used)


def sequence(log: Trace, start: int) -> Trace:
    """1,024 jobs from a place on; each of a kind of its own, so that nothing is learned from another."""
    jobs = sorted(log.jobs, key=lambda job: int(job.task.id))[start : start + LENGTH]
    return Trace.of(
        f"{log.name} from {start}", [replace(j, task=replace(j.task, kind=j.task.id)) for j in jobs]
    )


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
