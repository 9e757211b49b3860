"""`/v1/schedules` over HTTP: what it takes, what it refuses, in which words."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from .fakes import Service

FLOW: dict[str, Any] = {"workflow": {"name": "flow", "tasks": []}, "values": {}, "bundle": ""}
CRON = {"cron": "30 5 * * mon-fri", "zone": "Europe/Berlin"}


async def put(http: httpx.AsyncClient, name: str = "s", /, **schedule: Any) -> httpx.Response:
    return await http.put(f"/v1/schedules/{name}", json={"schedule": schedule, **FLOW})


async def test_a_schedule_shows_its_next_times_in_its_zone(http: httpx.AsyncClient) -> None:
    made = await put(http, **CRON)
    assert made.status_code == 200, made.text
    [listed] = (await http.get("/v1/schedules")).json()
    assert listed["text"] == "30 5 * * mon-fri (Europe/Berlin)"
    shown = (await http.get("/v1/schedules/s", params={"count": 3})).json()
    assert len(shown["next"]) == 3
    assert all(text[11:16] == "05:30" for text in shown["next_text"])
    assert shown["next"][0] > time.time_ns() // 1000


async def test_pause_resume_and_remove(http: httpx.AsyncClient) -> None:
    await put(http, every="1h")
    paused = (await http.post("/v1/schedules/s/pause", json={"reason": "the source moves"})).json()
    assert (paused["paused"]["by"], paused["paused"]["reason"]) == ("owner", "the source moves")
    assert (await http.get("/v1/schedules/s")).json()["next"] == []
    assert (await http.post("/v1/schedules/s/resume")).json()["paused"] is None
    assert (await http.delete("/v1/schedules/s")).status_code == 200
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/resume"), ("DELETE", "/backfill")):
        gone = await http.request(method, f"/v1/schedules/s{path}")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


async def test_an_event_is_any_json_once_for_each_key(http: httpx.AsyncClient) -> None:
    await put(http, http=True)
    first = await http.post("/v1/schedules/s/events", json={"path": "a"}, headers={"Idempotency-Key": "k"})
    again = await http.post("/v1/schedules/s/events", json={"path": "a"}, headers={"Idempotency-Key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["run"] == again.json()["run"]
    assert (await http.post("/v1/schedules/s/events")).status_code == 201, "an empty body is an event too"
    for content, code in (
        (b"{", "malformed"),
        (b"NaN", "malformed"),
        (b'"\\ud800"', "malformed"),
        (b"1" * 40_000, "invalid"),
    ):
        refused = await http.post("/v1/schedules/s/events", content=content)
        assert refused.json()["code"] == code, refused.text
    long = await http.post("/v1/schedules/s/events", json=1, headers={"Idempotency-Key": "k" * 300})
    assert long.status_code == 422


async def test_a_backfill_covers_a_span_of_the_past(http: httpx.AsyncClient) -> None:
    await put(http, cron="0 0 * * *")
    day = 24 * 3600 * 10**6
    now = time.time_ns() // 1000
    made = await http.post(
        "/v1/schedules/s/backfill", json={"start": now - 7 * day, "end": now + 7 * day, "parallel": 2}
    )
    assert made.json()["backfill"]["total"] == 7, made.text
    twice = await http.post("/v1/schedules/s/backfill", json={"start": now - 7 * day, "end": now})
    assert twice.status_code == 409
    assert (await http.delete("/v1/schedules/s/backfill")).json()["backfill"] is None
    for body, says in (
        ({"start": now, "end": now}, "empty"),
        ({"start": now - 7 * day, "end": now, "limit": 3}, "more than 3 times"),
        ({"start": now - 7 * day, "end": now, "parallel": 0}, "parallel"),
    ):
        refused = await http.post("/v1/schedules/s/backfill", json=body)
        assert refused.status_code == 422
        assert says in refused.json()["detail"]
    await put(http, "e", http=True)
    refused = await http.post("/v1/schedules/e/backfill", json={"start": 0, "end": now})
    assert "no past intervals" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"schedule": {"cron": "0 0 30 2 *"}, **FLOW}, "never fires"),
        ({"schedule": {"cron": "0 0 * * *", "zone": "Mars/Base"}, **FLOW}, "no time zone"),
        ({"schedule": {"every": "1s", "http": True}, **FLOW}, "every and http"),
        ({"schedule": {"every": "1s"}, **FLOW, "bundle": "zz"}, "SHA-256"),
        ({"schedule": {"every": "1s"}, **FLOW, "bundle": "ab" * 32}, "are not here"),
        ({"schedule": {"every": "1s"}, **FLOW, "values": {"v": 3}}, "not a reference"),
        ({"schedule": [], **FLOW}, "schedule"),
        ({**FLOW}, "schedule"),
        ({"schedule": {"every": "1s"}, **FLOW, "more": 1}, "more"),
    ],
)
async def test_what_makes_no_sense_registers_nothing(
    http: httpx.AsyncClient, service: Service, body: dict[str, Any], says: str
) -> None:
    refused = await http.put("/v1/schedules/s", json=body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert says in refused.json()["detail"]
    assert len(service.planner.schedules.core) == 0
    assert (await put(http, "a b", every="1s")).status_code == 422
