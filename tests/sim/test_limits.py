"""Quotas and rates of a cluster file, in a simulation."""

from __future__ import annotations

from pathlib import Path

from headway.domain.units import SECOND
from headway.sim.cluster import read_cluster
from headway.sim.simulate import simulate
from headway.sim.traces.csv import read

CLUSTER = """
[[node]]
cpu = 8
memory = "1GiB"
resources = { disk = "100GiB", network = "1Gbit" }

[tenants.ada]
quota = { cpu = 4 }
cohort = "lab"

[tenants.bob]
quota = { cpu = 4 }
cohort = "lab"

[rates.tokens]
amount = 10
per = "1min"
"""
TRACE = """id,arrival,duration,tenant,cpu,disk,rate:tokens
b,0,100,bob,8,60GiB,
a,10,100,ada,4,10GiB,
t1,0,1,cyd,0,,6
t2,0,1,cyd,0,,6
"""


def test_what_was_borrowed_is_taken_back_and_tokens_come_by_the_minute(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(CLUSTER)
    (tmp_path / "t.csv").write_text(TRACE)
    trace, cluster = read(tmp_path / "t.csv"), read_cluster(tmp_path / "c.toml")
    assert dict(cluster.nodes[0].other) == {"disk": 100 * 2**30, "network": 10**9}
    result = simulate(trace, cluster, "priority > fcfs")
    began = {record.job.task.id: record.started for record in result.records}
    assert [span.outcome for span in result.spans if trace.jobs[span.job].task.id == "b"] == [
        "preempted",
        "finished",
    ]
    assert 10 * SECOND <= began["a"] <= 41 * SECOND  # within the victim's grace
    assert began["t1"] == 0
    assert 60 * SECOND <= began["t2"] <= 61 * SECOND
