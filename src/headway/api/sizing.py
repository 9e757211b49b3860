"""How many nodes are needed: of trace files or of a service's own journal, also for the load that is forecast; and which to
add or to close for what waits in a service right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headway.api.simulating import read_traces
from headway.core.capacity.forecast import FEW, forecast
from headway.domain.units import SECOND
from headway.errors import Invalid, NotFound
from headway.roles.following.past import follower_at
from headway.sim.injected import Injected
from headway.sim.pools import PoolPlan, Question, plan_pools
from headway.sim.records import Rules
from headway.sim.sizing import BUDGET, Plan, Target, plan, read_kinds
from headway.sim.trace import Trace
from headway.store.reader import Reader

HOUR, DAY = 3600 * SECOND, 24 * 3600 * SECOND
#: Bins of a forecast at most.
FARTHEST = 400


def plan_traces(
    traces: Sequence[Path],
    nodes: Path,
    wait: int,
    *,
    milli: int = 950,
    policy: str = "priority > fcfs",
    form: str | None = None,
    since: int | None = None,
    ahead: int | None = None,
    rules: Rules | None = None,
    injected: Injected | None = None,
    budget: int = BUDGET,
) -> Plan:
    """Search for the fewest nodes that keep the wait within bounds.

    Args:
        traces: Trace files, or state folders.
        nodes: A file of the kinds that can be had.
        wait: Microseconds that `milli` of a thousand tasks may wait.
        ahead: Plan for the load that is forecast for so many microseconds from the end of the trace.

    Raises:
        NotFound: A file is not there.
        Invalid: A file says something else, or tasks fit on no kind.
    """
    trace, _ = read_traces(traces, form, since)
    kinds, tables = read_kinds(nodes)
    injected, notes = injected or Injected(), list[str]()
    if ahead is not None:
        factor, note = growth(trace, ahead, milli)
        injected, notes = replace(injected, load=injected.load * factor), [note]
    found = plan(
        trace,
        kinds,
        Target(wait, milli),
        policy,
        tables=tables,
        rules=rules,
        injected=injected,
        budget=budget,
    )
    return replace(found, notes=(*found.notes, *notes))


def plan_state(state: Path, nodes: Path, at: int, **asked: int) -> PoolPlan:
    """Which nodes to add and which can go, for what waited in a service at a time; it may be up or down.

    Args:
        state: Its state folder.
        nodes: A file of the kinds that can be had.
        at: Microseconds since the epoch.
        asked: As in `sim.pools.Question`.

    Raises:
        NotFound: There is no journal or no such file, or nothing had happened yet.
        Invalid: The file says something else.
    """
    path = state / "journal.db"
    if not path.exists():
        raise NotFound(
            f"there is no journal in {state}", hint="name a state folder: headway plan DIR --pools FILE"
        )
    question = Question(read_kinds(nodes)[0], **asked)
    return plan_pools(follower_at(Reader(path), at).engine, at, question)


def growth(trace: Trace, ahead: int, milli: int) -> tuple[float, str]:
    """How much more work is forecast than the trace brought, and how that is known.

    Args:
        ahead: Microseconds.
        milli: The quantile of the forecast to plan for.
    """
    if ahead < 1:
        raise Invalid("nothing is ahead", hint="give a time such as --ahead 30d")
    first, last = trace.jobs[0].task.release, trace.jobs[-1].task.release
    span = last - first
    size, unit, seasons = (HOUR, "hour", (24, 168)) if span < 28 * DAY else (DAY, "day", (7,))
    bins = [0] * max(span // size, 1)
    for job in trace.jobs:
        place = (job.task.release - first) // size
        if place < len(bins):  # what is left of the last, unfinished bin would look like a fall
            bins[place] += job.duration // SECOND
    steps = min(-(-ahead // size), FARTHEST)
    found = forecast(bins, steps, seasons)
    mean = sum(bins) / len(bins)
    if not mean:
        raise Invalid(f"{trace.name} brings no work to forecast from", hint="leave out --ahead")
    factor = sum(found.quantile(milli)) / steps / mean
    how = f"forecast of {steps} {unit}s from {len(bins)}: {factor:.2f} times the work of the trace (P{milli / 10:g}, {found.method}"
    if found.judged < FEW:
        return factor, f"{how}; too short to judge a forecast by, so the highest {unit}s seen are taken)"
    return factor, f"{how}, off by {found.error / mean:.0%} on average)"
