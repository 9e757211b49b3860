"""A long past does not make a start slow: finished work lies in the archive, and a snapshot bounds what is folded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .history import make, restart, widths
from .site import Site

TASKS = 250_000
#: Of a processor, per million finished tasks. It took 0.7 when this was written; `python -m tests.faults.history` measures it.
MOST_CPU_SECONDS = 5.0


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(300)
def test_a_start_after_a_quarter_of_a_million_finished_tasks(site: Site, workload: Any) -> None:
    runs = widths(TASKS)
    make(site.state, runs)
    wall, cpu, planner = asyncio.run(restart(site.state))
    print(f"{TASKS} finished tasks are folded in {wall:.2f} s ({cpu:.2f} s of CPU)")
    assert cpu < MOST_CPU_SECONDS * TASKS / 1e6
    assert planner.runs.run_view(f"r{len(runs) - 1}")["counts"] == {"finished": runs[-1]}
    assert len(planner.runs) < len(runs), "all of the past is held in memory"
    site.up()
    with site.client() as client:
        assert client.run("r0")["counts"] == {"finished": 500}
        assert client.task("r0/work[499]")["state"] == "finished"
        assert client.submit(workload.chain, str(site.folder / "ledger"), 2).wait(60)["state"] == "finished"
