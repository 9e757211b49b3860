"""Metrics as Prometheus' own parser reads them, and the probes of orchestrators."""

from __future__ import annotations

import re

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from headway.roles.tally import BOUNDS, Tally

from .fakes import Service
from .test_routes import client_of

NAME = re.compile(r"headway_[a-z_]+\Z")


async def scrape(
    http: httpx.AsyncClient, path: str = "/metrics"
) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert NAME.match(family.name), family.name
        assert family.documentation
        for sample in family.samples:
            row = found.setdefault(sample.name, {})
            key = tuple(sorted(sample.labels.items()))
            assert key not in row, f"{sample.name}{key} twice"
            row[key] = sample.value
    return found


async def test_what_is_told(service: Service, http: httpx.AsyncClient) -> None:
    service.planner.ended.attempt("finished", 2_000_000)
    service.planner.ended.attempt("finished", 40_000)
    service.planner.ended.attempt("failed", 1)
    service.planner.ended.run("finished", 90_000_000)
    service.planner.stats_view |= {
        "steps": 7,
        "step_seconds": 0.5,
        "commits": 6,
        "commit_seconds": 0.25,
        "outbox": 3,
    }
    found = await scrape(http)
    assert found["headway_attempts_total"] == {(("outcome", "finished"),): 2, (("outcome", "failed"),): 1}
    assert found["headway_runs_total"] == {(("state", "finished"),): 1}
    assert found["headway_task_processing_seconds_count"][()] == 2
    assert found["headway_task_processing_seconds_sum"][()] == pytest.approx(2.04)
    buckets = found["headway_task_processing_seconds_bucket"]
    assert (buckets[("le", "0.03"),], buckets[("le", "0.1"),], buckets[("le", "+Inf"),]) == (0, 1, 2)
    assert found["headway_step_seconds_sum"][("role", "planner"),] == 0.5
    assert found["headway_commit_seconds_count"][("role", "planner"),] == 6
    assert found["headway_outbox_messages"][("role", "planner"),] == 3
    assert found["headway_resource_capacity"][("resource", "cpu"),] == 4
    assert found["headway_resource_used"] == {
        (("resource", "cpu"),): 3, (("resource", "gpu"),): 0.5, (("resource", "memory"),): 0, (("resource", "tokens"),): 1.5,
    }  # fmt: skip
    assert found["headway_nodes"] == {(("state", "up"),): 1, (("state", "cordoned"),): 0}
    assert sum(found["headway_build_info"].values()) == 1
    assert await scrape(http, "/v1/metrics") == found


def test_a_histogram_counts_what_is_not_longer_than_its_bound() -> None:
    tally = Tally()
    for bound in BOUNDS:
        tally.run("finished", bound)
    tally.run("finished", BOUNDS[-1] + 1)
    assert [count for _, count in tally.spans.buckets()] == list(range(1, len(BOUNDS) + 2))


async def test_metrics_need_a_token_and_probes_do_not(service: Service) -> None:
    async with client_of(service, Authorization="none") as http:
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/healthz")).json() == {"status": "live"}
        assert (await http.get("/readyz")).json() == {"status": "ready"}
        assert (await http.post("/readyz")).status_code == 401
        assert (await http.get("/readyz", headers={"Host": "evil.example"})).status_code == 403


async def test_a_probe_says_in_words_what_is_wrong(service: Service, http: httpx.AsyncClient) -> None:
    for stats, says in (
        ({"ready": False}, "it is reading its journal"),
        ({"trouble": "the disk is full"}, "cannot write its journal: the disk is full"),
        ({"connected": False}, "not connected to the broker"),
    ):
        service.planner.stats_view = stats
        answer = await http.get("/readyz")
        assert answer.status_code == 503
        assert says in answer.json()["wrong"]["planner"]
        assert (await http.get("/healthz")).status_code == 200
    service.planner.stats_view = {}
    await service.app.stop()
    assert (await http.get("/readyz")).json()["wrong"] == {"service": "it is stopping"}
