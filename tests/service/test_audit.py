"""The audit: what was done, under whose name, with what outcome; only ever added to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from headway.service.audit import Audit, Wanted
from headway.service.identity import Identity
from headway.service.rights import NEEDS, Role

from .fakes import TOKEN, Service
from .test_rights import ask
from .test_routes import client_of, problem, submission

ALL = Wanted()


def rows_of(service: Service, **wanted: Any) -> list[dict[str, Any]]:
    return service.audit.rows(Wanted(**wanted), 1000)


class TestRequests:
    async def test_who_did_what_to_what_with_which_outcome(
        self, http: httpx.AsyncClient, service: Service
    ) -> None:
        await http.post("/v1/runs", json=submission("hello-1"), headers={"X-Request-Id": "mine-1"})
        await http.post("/v1/runs/hello-1/cancel")
        await http.post("/v1/runs/hello-1/cancel")
        await http.post("/v1/tasks/none/such/cancel")
        await http.get("/v1/runs/hello-1")
        seen = [
            (row["principal"], row["act"], row["object"], row["outcome"], row["status"])
            for row in rows_of(service)
        ]
        assert seen == [
            ("owner", "POST /v1/tasks/{run}/{name}/cancel", "none/such", "refused", 404),
            ("owner", "POST /v1/runs/{id}/cancel", "hello-1", "refused", 409),
            ("owner", "POST /v1/runs/{id}/cancel", "hello-1", "done", 200),
            ("owner", "POST /v1/runs", "hello-1", "done", 201),
        ]
        assert rows_of(service)[-1]["request"] == "mine-1"

    @pytest.mark.parametrize(
        "route", sorted(route for route in NEEDS if route.split()[0] not in ("GET", "HEAD"))
    )
    @pytest.mark.parametrize("role", [Role.viewer, Role.admin])
    async def test_every_route_that_changes_something(self, tmp_path: Path, route: str, role: Role) -> None:
        service = Service(tmp_path)
        service.planner.add("r-red")
        await service.tokens.admit("t", Identity("ann", role), "owner")
        async with client_of(service, Authorization="Bearer t") as http:
            answer = await ask(http, route)
        [row] = rows_of(service)
        assert (row["principal"], row["act"], row["status"]) == ("ann", route, answer.status_code)
        assert row["outcome"] == ("denied" if role is Role.viewer else row["outcome"])
        assert row["request"] == answer.headers["x-request-id"]

    async def test_what_is_made_is_named(self, http: httpx.AsyncClient, service: Service) -> None:
        body = {"kind": "boost", "target": "a", "reason": "now"}
        made = (await http.post("/v1/overrides", json=body)).json()
        await http.post("/v1/tokens", json={"name": "ci", "role": "viewer"})
        assert [row["object"] for row in rows_of(service)] == ["ci", made["id"]]

    async def test_a_token_that_was_taken_back_is_seen(self, service: Service) -> None:
        await service.tokens.admit("t", Identity("eve", Role.viewer), "owner")
        await service.tokens.revoke("eve", "owner")
        async with client_of(service, Authorization="Bearer t") as http:
            for _ in range(50):
                problem(await http.get("/v1/runs"), 401, "denied")
        rows = rows_of(service, principal="eve")
        assert 1 <= len(rows) < 50, "once a second at most"
        assert (rows[0]["act"], rows[0]["outcome"], rows[0]["why"]) == ("GET /v1/runs", "denied", "revoked")

    async def test_neither_a_token_nor_a_stranger_is_written_down(self, service: Service) -> None:
        async with client_of(service, Authorization="Bearer made-up") as http:
            await http.post("/v1/runs", json=submission())
        async with client_of(service) as http:
            token = (await http.post("/v1/tokens", json={"name": "ci", "role": "viewer"})).json()["token"]
        text = "".join(path.read_text() for path in (service.settings.state / "audit").iterdir())
        assert len(text.splitlines()) == 1
        assert token not in text
        assert TOKEN not in text

    async def test_listing(self, http: httpx.AsyncClient) -> None:
        for name in ("a", "b", "c"):
            await http.post("/v1/runs", json=submission(name))
        await http.post("/v1/runs/b/cancel")

        async def asked(**params: Any) -> list[int]:
            return [row["n"] for row in (await http.get("/v1/audit", params=params)).json()]

        assert await asked() == [4, 3, 2, 1]
        assert await asked(limit=2) == [4, 3]
        assert await asked(before=3) == [2, 1]
        assert await asked(act="CANCEL") == [4]
        assert await asked(object="b") == [4, 2]
        assert await asked(principal="nobody") == await asked(outcome="failed") == await asked(until=1) == []
        problem(await http.get("/v1/audit", params={"outcome": "odd"}), 422, "invalid")

    async def test_nothing_is_changed_unseen(
        self, http: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write

        def full(fd: int, data: bytes) -> int:
            if fd == service.audit._fd:
                raise OSError(28, "No space left on device")
            return write(fd, data)

        await http.post("/v1/runs", json=submission("a"))
        with monkeypatch.context() as patched:
            patched.setattr("headway.service.audit.os.write", full)
            assert (await http.post("/v1/runs", json=submission("b"))).status_code == 201
            problem(await http.post("/v1/runs", json=submission("c")), 507, "disk_full")
            assert (await http.get("/v1/runs")).status_code == 200
        assert (await http.post("/v1/runs", json=submission("d"))).status_code == 201
        assert [body["run"] for body in service.planner.submitted] == ["a", "b", "d"]
        done = [row["object"] for row in rows_of(service, outcome="done")]
        assert done == ["d", "b", "a"]


class TestFiles:
    def note(self, audit: Audit, object: str) -> None:
        audit.note("owner", "POST /v1/runs", object, 201, "r")

    def test_goes_on_in_the_next_process(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            audit = Audit(tmp_path / "audit")
            self.note(audit, name)
            audit.close()
        assert [(row["n"], row["object"]) for row in Audit(tmp_path / "audit").rows(ALL, 9)] == [
            (2, "b"),
            (1, "a"),
        ]
        assert [path.name for path in (tmp_path / "audit").iterdir()] == ["000000000001.jsonl"]
        assert (tmp_path / "audit" / "000000000001.jsonl").stat().st_mode & 0o777 == 0o600

    def test_several_files_count_through(self, tmp_path: Path) -> None:
        audit = Audit(tmp_path / "audit", limit=400)
        for number in range(20):
            self.note(audit, str(number))
        assert len(list((tmp_path / "audit").iterdir())) > 3
        assert [row["n"] for row in audit.rows(ALL, 99)] == list(range(20, 0, -1))
        again = Audit(tmp_path / "audit", limit=400)
        self.note(again, "x")
        assert again.rows(ALL, 1)[0]["n"] == 21

    def test_half_a_line_of_a_power_cut_is_passed_over(self, tmp_path: Path) -> None:
        audit = Audit(tmp_path / "audit")
        self.note(audit, "a")
        audit.close()
        file = tmp_path / "audit" / "000000000001.jsonl"
        with file.open("ab") as end:
            end.write(b'{"n": 2, "at"')
        audit = Audit(tmp_path / "audit")
        self.note(audit, "b")
        assert [(row["n"], row["object"]) for row in audit.rows(ALL, 9)] == [(2, "b"), (1, "a")]
        assert len(file.read_bytes().splitlines()) == 3
        assert json.loads(file.read_bytes().splitlines()[-1])["n"] == 2
