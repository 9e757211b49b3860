"""Every route, asked rightly and wrongly. A refusal is a problem document with a code; bad input is never a
5xx.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import sqlite3
import time
from typing import Any

import httpx
import pytest

from headway.errors import Unavailable

from .fakes import Service

HELLO = {"name": "hello", "tasks": [{"name": "greet"}]}


def submission(run: str = "hello-1", **fields: Any) -> dict[str, Any]:
    return {"run": run, "workflow": HELLO, "values": {}, **fields}


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"] == f"urn:headway:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


class TestSubmit:
    async def test_accepts_and_says_where_the_run_is(self, http: httpx.AsyncClient, service: Service) -> None:
        answer = await http.post("/v1/runs", json=submission())
        assert answer.status_code == 201
        assert answer.headers["location"] == "/v1/runs/hello-1"
        assert answer.json()["state"] == "running"
        assert service.planner.submitted == [submission() | {"bundle": "", "key": None, "by": "owner"}]

    async def test_same_key_gives_the_first_run(self, http: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "k1"}
        first = await http.post("/v1/runs", json=submission("a"), headers=headers)
        again = await http.post("/v1/runs", json=submission("b"), headers=headers)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json()["id"] == "a"
        assert again.json()["repeated"] is True

    async def test_same_key_with_another_body_is_refused(self, http: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": "k1"}
        await http.post("/v1/runs", json=submission("a"), headers=headers)
        other = submission("b") | {"workflow": {"name": "other"}}
        problem(await http.post("/v1/runs", json=other, headers=headers), 409, "conflict")

    @pytest.mark.parametrize("key", ["", "x" * 201])
    async def test_a_key_of_wrong_length(self, http: httpx.AsyncClient, key: str) -> None:
        problem(
            await http.post("/v1/runs", json=submission(), headers={"Idempotency-Key": key}), 422, "invalid"
        )

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"\xff\xfe",
            b'{"run": NaN}',
            b"[" * 100_000,
            b'{"run": "a", "workflow": {"name": "\\ud800"}}',
            b"9" * 10_000,
        ],
    )
    async def test_what_is_not_json(self, http: httpx.AsyncClient, raw: bytes, service: Service) -> None:
        answer = await http.post("/v1/runs", content=raw)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert service.planner.submitted == []

    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ([], "object"),
            ({"workflow": HELLO}, "'run'"),
            ({"run": "a"}, "'workflow'"),
            (submission(run="../etc"), "run id"),
            (submission(run="a/b"), "run id"),
            (submission() | {"run": 7}, "'run'"),
            (submission() | {"values": []}, "'values'"),
            (submission() | {"workflw": {}}, "'workflw'"),
            (submission() | {"bundle": "../../x"}, "bundle"),
            (submission() | {"values": {"v": 1}}, "values['v']"),
            (submission() | {"values": {"v": {"kind": "blob", "data": 3}}}, "values['v']"),
            (submission() | {"workflow": {"name": 3}}, "workflow.name"),
        ],
    )
    async def test_wrong_fields_are_named(self, http: httpx.AsyncClient, body: Any, names: str) -> None:
        assert names in problem(await http.post("/v1/runs", json=body), 422, "invalid")["detail"]

    async def test_missing_blobs_are_listed(self, http: httpx.AsyncClient) -> None:
        there, not_there = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
        assert (await http.put(f"/v1/blobs/{there}", content=b"a")).status_code == 201
        values = {"x": {"kind": "blob", "data": not_there}}
        body = problem(
            await http.post("/v1/runs", json=submission(bundle=there, values=values)), 422, "invalid"
        )
        assert body["fields"] == {"missing": [not_there]}

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device"),
            sqlite3.OperationalError("database or disk is full"),
        ],
    )
    async def test_a_full_disk_is_507(
        self, http: httpx.AsyncClient, service: Service, error: Exception
    ) -> None:
        wrapped = Unavailable("journal.db cannot be written", hint="free some space")
        wrapped.__cause__ = error
        for raised in (error, wrapped):
            service.planner.fail_next = raised
            problem(await http.post("/v1/runs", json=submission()), 507, "disk_full")

    async def test_not_now_is_503(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.fail_next = Unavailable("the journal is read-only")
        answer = await http.post("/v1/runs", json=submission())
        problem(answer, 503, "unavailable")
        assert answer.headers["retry-after"] == "1"

    async def test_our_own_fault_shows_an_incident_and_no_traceback(
        self, http: httpx.AsyncClient, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.planner.fail_next = ZeroDivisionError("secret detail")
        answer = await http.post("/v1/runs", json=submission())
        body = problem(answer, 500, "internal")
        assert "secret detail" not in answer.text
        assert body["fields"]["incident"] in caplog.text
        assert "ZeroDivisionError" in caplog.text


class TestRuns:
    async def test_list_filters_and_pages(self, http: httpx.AsyncClient, service: Service) -> None:
        for name in "abc":
            service.planner.add(name)
        service.planner.finish("b")
        assert [r["id"] for r in (await http.get("/v1/runs")).json()] == ["c", "b", "a"]
        assert [r["id"] for r in (await http.get("/v1/runs?state=finished")).json()] == ["b"]
        assert [r["id"] for r in (await http.get("/v1/runs?limit=1&after=c")).json()] == ["b"]

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=100000000", "state=done"])
    async def test_wrong_parameters(self, http: httpx.AsyncClient, query: str) -> None:
        assert (
            query.partition("=")[0] in problem(await http.get(f"/v1/runs?{query}"), 422, "invalid")["detail"]
        )

    async def test_unknown_run(self, http: httpx.AsyncClient) -> None:
        for method, path in (
            ("GET", ""),
            ("GET", "?wait=5"),
            ("POST", "/cancel"),
            ("POST", "/retry"),
            ("GET", "/events"),
        ):
            problem(await http.request(method, f"/v1/runs/ghost{path}"), 404, "not_found")

    async def test_cancel_passes_the_reason(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        answer = await http.post("/v1/runs/a/cancel", json={"reason": "wrong data"})
        assert answer.json()["state"] == "cancelled"
        assert service.planner.calls == [("cancel", "a", "wrong data", "owner")]
        problem(await http.post("/v1/runs/a/cancel"), 409, "conflict")

    async def test_cancel_refuses_unknown_fields(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        problem(await http.post("/v1/runs/a/cancel", json={"raison": "x"}), 422, "invalid")
        answer = await http.post(
            "/v1/runs/a/cancel", content=b"{", headers={"Content-Type": "application/json"}
        )
        problem(answer, 400, "malformed")

    async def test_retry(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        problem(await http.post("/v1/runs/a/retry"), 409, "conflict")
        service.planner.finish("a", "failed")
        assert (await http.post("/v1/runs/a/retry")).json()["state"] == "running"


class TestWait:
    async def test_answers_when_the_run_ends(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        asked = asyncio.create_task(http.get("/v1/runs/a?wait=30"))
        while not service.planner.watchers:
            await asyncio.sleep(0.005)
        assert not asked.done()
        service.planner.finish("a")
        answer = await asyncio.wait_for(asked, 2)
        assert answer.json()["state"] == "finished"

    async def test_answers_at_once_when_it_is_over(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        service.planner.finish("a")
        assert (await asyncio.wait_for(http.get("/v1/runs/a?wait=30"), 2)).json()["state"] == "finished"

    async def test_answers_after_the_time(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        assert (await asyncio.wait_for(http.get("/v1/runs/a?wait=0.05"), 2)).json()["state"] == "running"

    async def test_other_runs_do_not_end_it(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        service.planner.add("b")
        asked = asyncio.create_task(http.get("/v1/runs/a?wait=0.3"))
        while not service.planner.watchers:
            await asyncio.sleep(0.005)
        service.planner.finish("b")
        assert (await asked).json()["state"] == "running"

    async def test_nobody_listens_when_nobody_waits(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        await http.get("/v1/runs/a?wait=0.05")
        assert service.planner.watchers == 0

    @pytest.mark.parametrize("wait", ["-1", "61", "nan", "x"])
    async def test_wrong_waits(self, http: httpx.AsyncClient, wait: str) -> None:
        problem(await http.get(f"/v1/runs/a?wait={wait}"), 422, "invalid")


class TestTasks:
    async def test_list_and_look(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a", tasks=["load", "fit[0]", "fit[1]"])
        assert [t["name"] for t in (await http.get("/v1/tasks?run=a&limit=2&offset=1")).json()] == [
            "fit[0]",
            "fit[1]",
        ]
        assert (await http.get("/v1/tasks?run=a&state=running")).json() == []
        assert (await http.get("/v1/tasks/a/fit%5B1%5D")).json()["id"] == "a/fit[1]"

    async def test_wrong_ones(self, http: httpx.AsyncClient) -> None:
        problem(await http.get("/v1/tasks?run=ghost"), 404, "not_found")
        problem(await http.get("/v1/tasks?state=done"), 422, "invalid")
        problem(await http.get("/v1/tasks?offset=-1"), 422, "invalid")
        for path in ("", "/logs"):
            problem(await http.get(f"/v1/tasks/a/b{path}"), 404, "not_found")
        problem(await http.get("/v1/tasks/a/ghost/why"), 404, "not_found")
        problem(await http.post("/v1/tasks/a/b/cancel"), 404, "not_found")
        problem(await http.get("/v1/tasks/a"), 404, "no_route")

    async def test_why(self, http: httpx.AsyncClient, service: Service) -> None:
        assert "waits for cpu" in (await http.get("/v1/tasks/a/fit/why")).json()["text"]
        assert service.scheduler.calls == [("why", "a/fit")]

    async def test_cancel_one(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        assert (await http.post("/v1/tasks/a/one/cancel")).json()["state"] == "cancelled"

    async def test_logs_whole_tail_and_none(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a", tasks=["one", "quiet"])
        log = service.settings.state / "logs" / "a" / "one.log"
        log.parent.mkdir(parents=True)
        log.write_bytes(b"first\n" + b"x" * 200_000 + b"\nlast\n")
        assert (await http.get("/v1/tasks/a/one/logs")).content == log.read_bytes()
        assert (await http.get("/v1/tasks/a/one/logs?tail=5")).text == "last\n"
        assert (await http.get("/v1/tasks/a/quiet/logs")).content == b""

    async def test_logs_are_followed_to_the_end(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.add("a")
        log = service.settings.state / "logs" / "a" / "one.log"
        asked = asyncio.create_task(http.get("/v1/tasks/a/one/logs?follow=true"))
        await asyncio.sleep(0.1)
        log.parent.mkdir(parents=True)
        log.write_text("one\n")
        await asyncio.sleep(0.3)
        with log.open("a") as file:
            file.write("two\n")
        service.planner.finish("a")
        assert (await asyncio.wait_for(asked, 5)).text == "one\ntwo\n"


class TestWindows:
    async def test_set_list_and_end(self, http: httpx.AsyncClient, service: Service) -> None:
        body = {"kind": "reservation", "start": 5, "end": 9, "tenant": "t", "count": 2, "want": {"gpu": 8000}}
        answer = await http.post("/v1/windows", json=body)
        assert answer.status_code == 201
        _, sent = service.scheduler.calls[0]
        assert sent["demand"] == {"cpu": 0, "memory": 0, "gpu": 8000}
        assert (sent["by"], sent["nodes"], sent["count"]) == ("owner", [], 2)
        assert (await http.get("/v1/windows")).json() == [sent]
        assert (await http.delete("/v1/windows/w-1")).json() == {"id": "w-1"}
        problem(await http.delete("/v1/windows/w-2"), 404, "not_found")

    @pytest.mark.parametrize(
        "body", [{}, {"kind": "siesta"}, {"want": {"gpu": 500}}, {"id": "a/b"}, {"end": -1}, {"by": "root"}]
    )
    async def test_wrong_windows(self, http: httpx.AsyncClient, body: Any, service: Service) -> None:
        whole = {"kind": "maintenance", "nodes": ["n"], "start": 5, "end": 9} if body else {}
        problem(await http.post("/v1/windows", json={**whole, **body}), 422, "invalid")
        assert service.scheduler.calls == []


class TestTenants:
    async def test_quotas_are_set_listed_and_lifted(self, http: httpx.AsyncClient, service: Service) -> None:
        answer = await http.put("/v1/tenants/vision/quota", json={"quota": {"gpu": 4}, "cohort": "lab"})
        assert answer.json() == {"tenant": "vision"}
        name, tenant, sent, by = service.scheduler.calls[0]
        assert (name, tenant, by) == ("quota", "vision", "owner")
        assert sent == {"quota": {"gpu": 4}, "borrow": {}, "lend": {}, "cohort": "lab", "reclaim": "any"}
        assert (await http.get("/v1/tenants")).json() == [{"tenant": "vision", **sent}]
        await http.delete("/v1/tenants/vision/quota")
        assert service.scheduler.calls[-1] == ("quota", "vision", None, "owner")

    async def test_rates_are_set_listed_and_lifted(self, http: httpx.AsyncClient, service: Service) -> None:
        await http.put("/v1/rates/tokens", json={"amount": "2000", "per": "1min"})
        assert service.scheduler.calls[0] == (
            "rate", "tokens", {"amount": "2000", "per": "1min", "tenants": {}}, "owner",
        )  # fmt: skip
        assert (await http.get("/v1/rates")).json()[0]["rate"] == "tokens"
        await http.delete("/v1/rates/tokens")
        assert service.scheduler.calls[-1] == ("rate", "tokens", None, "owner")

    @pytest.mark.parametrize(
        "body", [{"quota": 3}, {"quotas": {}}, {"reclaim": "always"}, {"quota": {"gpu": []}}]
    )
    async def test_wrong_quotas(self, http: httpx.AsyncClient, body: Any, service: Service) -> None:
        problem(await http.put("/v1/tenants/vision/quota", json=body), 422, "invalid")
        problem(await http.put("/v1/rates/tokens", json={}), 422, "invalid")
        assert service.scheduler.calls == []


class TestOverrides:
    async def test_boost_hold_pin(self, http: httpx.AsyncClient, service: Service) -> None:
        body = {"kind": "boost", "target": "a", "reason": "urgent", "amount": 2}
        answer = await http.post("/v1/overrides", json=body | {"ttl": 60_000_000})
        assert answer.status_code == 201
        name, sent = service.scheduler.calls[0]
        assert name == "override"
        assert sent == body | {"node": "", "by": "owner", "id": sent["id"], "expires": sent["expires"]}
        assert answer.json() == sent
        assert abs(sent["expires"] - time.time_ns() // 1000 - 60_000_000) < 5_000_000

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"kind": "kill", "target": "a", "reason": "x"},
            {"kind": "boost", "target": "a", "reason": ""},
            {"kind": "pin", "target": "a", "reason": "x"},
            {"kind": "hold", "target": "a", "reason": "x", "node": "n"},
            {"kind": "hold", "target": "a", "reason": "x", "ttl": 5},
            {"kind": "hold", "target": "a", "reason": "x", "by": "root"},
        ],
    )
    async def test_wrong_overrides(self, http: httpx.AsyncClient, body: Any, service: Service) -> None:
        problem(await http.post("/v1/overrides", json=body), 422, "invalid")
        assert service.scheduler.calls == []

    async def test_revert(self, http: httpx.AsyncClient) -> None:
        assert (await http.delete("/v1/overrides/o-1")).json()["reverted"] is True
        problem(await http.delete("/v1/overrides/o-2"), 404, "not_found")

    async def test_policy(self, http: httpx.AsyncClient, service: Service) -> None:
        answer = await http.put("/v1/policy", json={"order": "priority > srpt", "discipline": "strict"})
        wanted = {"order": "priority > srpt", "discipline": "strict", "placement": "best_fit"}
        assert answer.json() == wanted
        assert service.scheduler.calls == [("policy", "priority > srpt", "strict", "", "owner")]
        answer = await http.put("/v1/policy", json={"order": "fcfs", "placement": "fgd"})
        assert answer.json()["placement"] == "fgd"
        assert service.scheduler.calls[1:] == [("policy", "fcfs", "skip", "fgd", "owner")]
        problem(await http.put("/v1/policy", json={"order": "x", "discipline": "loose"}), 422, "invalid")
        problem(await http.put("/v1/policy", json={"order": "nonsense"}), 422, "invalid")


class TestBlobs:
    async def test_send_ask_fetch(self, http: httpx.AsyncClient, service: Service) -> None:
        data = bytes(range(256)) * 10_000
        sha = hashlib.sha256(data).hexdigest()
        problem(await http.get(f"/v1/blobs/{sha}"), 404, "not_found")
        assert (await http.head(f"/v1/blobs/{sha}")).status_code == 404
        assert (await http.put(f"/v1/blobs/{sha}", content=data)).status_code == 201
        assert (await http.put(f"/v1/blobs/{sha}", content=data)).status_code == 200
        assert (await http.head(f"/v1/blobs/{sha}")).headers["content-length"] == str(len(data))
        assert (await http.get(f"/v1/blobs/{sha}")).content == data
        assert service.blobs.path(sha).read_bytes() == data

    async def test_an_empty_blob(self, http: httpx.AsyncClient) -> None:
        sha = hashlib.sha256(b"").hexdigest()
        assert (await http.put(f"/v1/blobs/{sha}", content=b"")).status_code == 201
        assert (await http.get(f"/v1/blobs/{sha}")).content == b""

    async def test_another_content_is_refused_and_nothing_kept(
        self, http: httpx.AsyncClient, service: Service
    ) -> None:
        sha = hashlib.sha256(b"right").hexdigest()
        problem(await http.put(f"/v1/blobs/{sha}", content=b"wrong"), 400, "malformed")
        assert not [p for p in (service.settings.state / "blobs").rglob("*") if p.is_file()]

    @pytest.mark.parametrize("name", ["x", "..%2f..%2fetc", "A" * 64, "a" * 63, "a" * 65])
    async def test_names_that_are_no_hash(self, http: httpx.AsyncClient, name: str) -> None:
        for method in ("PUT", "GET"):
            answer = await http.request(method, f"/v1/blobs/{name}", content=b"" if method == "PUT" else None)
            assert answer.status_code in (404, 422), answer.text
            assert answer.headers["content-type"] == "application/problem+json"

    async def test_too_large(self, tmp_path: Any) -> None:
        service = Service(tmp_path, blob_limit=100)
        data = b"x" * 101
        sha = hashlib.sha256(data).hexdigest()

        async def chunked() -> Any:
            for start in range(0, 101, 10):
                yield data[start : start + 10]

        async with client_of(service) as http:
            problem(await http.put(f"/v1/blobs/{sha}", content=data), 413, "too_large")
            problem(await http.put(f"/v1/blobs/{sha}", content=chunked()), 413, "too_large")
        assert not [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()]

    async def test_a_full_disk_leaves_nothing(
        self, http: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(fd: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("headway.service.uploads.os.fsync", full)
        sha = hashlib.sha256(b"data").hexdigest()
        problem(await http.put(f"/v1/blobs/{sha}", content=b"data"), 507, "disk_full")
        assert not [p for p in (service.settings.state / "blobs").rglob("*") if p.is_file()]


def client_of(service: Service, **headers: str) -> httpx.AsyncClient:
    from .fakes import TOKEN

    return httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app),
        base_url="http://127.0.0.1:1234",
        headers={"Authorization": f"Bearer {TOKEN}"} | headers,
    )


class TestMeta:
    async def test_health_version_stats_nodes(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/health/live")).json() == {"status": "live"}
        assert (await http.get("/v1/health/ready")).json() == {"status": "ready"}
        assert (await http.get("/v1/version")).json()["api"] == "v1"
        assert (await http.get("/v1/stats")).json()["scheduler"]["decisions"] == 7
        assert (await http.get("/v1/nodes")).json()[0]["node"] == "local"

    async def test_not_ready_says_which_role(self, http: httpx.AsyncClient, service: Service) -> None:
        service.planner.stats_view = {"ready": False}
        assert "planner" in problem(await http.get("/v1/health/ready"), 503, "unavailable")["detail"]

    async def test_stopping(self, http: httpx.AsyncClient, service: Service) -> None:
        await service.app.stop()
        problem(await http.get("/v1/health/ready"), 503, "unavailable")

    async def test_unknown_paths_and_methods(self, http: httpx.AsyncClient) -> None:
        problem(await http.get("/"), 404, "no_route")
        problem(await http.get("/v1/runs/"), 404, "no_route")
        answer = await http.patch("/v1/runs")
        problem(answer, 405, "wrong_method")
        assert "POST" in answer.headers["allow"] or "GET" in answer.headers["allow"]

    async def test_openapi_is_whole(self, http: httpx.AsyncClient) -> None:
        document = (await http.get("/v1/openapi.json")).json()
        references = [part.split('"')[0] for part in json.dumps(document).split('"$ref": "#/')[1:]]
        for reference in references:
            found = document
            for step in reference.split("/"):
                found = found[step]
        assert document["security"] == [{"token": []}]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                assert operation["summary"], (path, method)
                good = [code for code in operation["responses"] if code.startswith("2")]
                assert good, (path, method)
                assert "401" in operation["responses"], (path, method)
        assert document["paths"]["/v1/runs"]["post"]["requestBody"]["content"]["application/json"]["example"]
