"""Tokens: given, used, replaced, taken back; and streams that end with the token that opened them."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from headway.service.identity import OWNER, Identity
from headway.service.rights import Role
from headway.service.tokens import MARK, RESERVED, Tokens
from headway.service.underway import CUT_WITHIN

from .fakes import TOKEN, Service, served
from .test_routes import client_of, problem

SAM = Identity("sam", Role.submitter, frozenset({"red"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


class TestStore:
    async def test_what_was_given_identifies_and_nothing_else_does(self, path: Path) -> None:
        tokens = Tokens(path, TOKEN)
        view, token = await tokens.create(SAM, OWNER)
        assert token.startswith(MARK)
        assert len(token) >= 43
        assert (view["name"], view["role"], view["tenants"], view["state"]) == (
            "sam",
            "submitter",
            ["red"],
            "good",
        )
        assert tokens.identify(token) == SAM
        assert tokens.identify(TOKEN) == Identity(OWNER)
        assert tokens.identify(token[:-1]) is None
        assert tokens.identify("") is None

    @given(st.text())
    def test_no_other_text(self, text: str) -> None:
        assert Tokens(None, "abc").identify(text) == (Identity(OWNER) if text == "abc" else None)

    def test_only_hashes_lie_on_disk_and_nobody_else_reads_them(self, path: Path) -> None:
        tokens = Tokens(path, TOKEN)
        _, token = asyncio.run(tokens.create(SAM, OWNER))
        _, other = asyncio.run(tokens.rotate("sam", keep=10**9))
        text = path.read_text()
        assert not any(secret in text for secret in (token, other, token.removeprefix(MARK), TOKEN))
        assert path.stat().st_mode & 0o777 == 0o600
        assert not any(other in json.dumps(view) or token in json.dumps(view) for view in tokens.views())

    async def test_a_restart_forgets_nothing(self, path: Path) -> None:
        before = Tokens(path, TOKEN)
        _, token = await before.create(SAM, "ada", expires=2**60)
        _, gone = await before.create(Identity("eve", Role.viewer), OWNER)
        await before.revoke("eve", "ada")
        assert before.identify(token)
        await before.save_used()
        after = Tokens(path, TOKEN)
        assert after.identify(token) == SAM
        assert after.identify(gone) is None
        assert after.refused(gone) == ("eve", "revoked")
        views = [view for view in before.views() if view["name"] != OWNER]
        again = [view for view in after.views() if view["name"] != OWNER]
        for view in views + again:
            assert (view.pop("used") is None) == (view["name"] == "eve")
        assert views == again

    async def test_revoked_at_the_next_look(self, path: Path) -> None:
        tokens = Tokens(path, TOKEN)
        _, token = await tokens.create(SAM, OWNER)
        view = await tokens.revoke("sam", "ada")
        assert (view["state"], view["revoked_by"]) == ("revoked", "ada")
        assert tokens.identify(token) is None
        with pytest.raises(Conflict, match="revoked by ada"):
            await tokens.revoke("sam", OWNER)
        with pytest.raises(Conflict, match="revoked"):
            await tokens.rotate("sam")
        with pytest.raises(Conflict, match="given once"):
            await tokens.create(SAM, OWNER)

    async def test_a_full_disk_does_not_keep_a_thief_inside(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokens = Tokens(path, TOKEN)
        _, token = await tokens.create(SAM, OWNER)

        def full(*_: Any) -> None:
            raise Unavailable("cannot write: No space left on device")

        monkeypatch.setattr("headway.service.tokens.write_durably", full)
        with pytest.raises(Unavailable):
            await tokens.revoke("sam", OWNER)
        assert tokens.identify(token) is None
        with pytest.raises(Unavailable):
            await tokens.create(Identity("tom", Role.viewer), OWNER)
        assert [view["name"] for view in tokens.views()] == [OWNER, "sam"]

    async def test_expires(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tokens = Tokens(path, TOKEN)
        _, token = await tokens.create(SAM, OWNER, expires=time.time_ns() // 1000 + 10_000_000)
        assert tokens.identify(token) == SAM
        later = time.time_ns() + 11 * 10**9
        monkeypatch.setattr("headway.service.tokens.time.time_ns", lambda: later)
        assert tokens.identify(token) is None
        assert tokens.refused(token) == ("sam", "expired")
        with pytest.raises(Conflict, match="expired"):
            await tokens.rotate("sam")

    async def test_rotate_at_once_or_with_time_to_change_over(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tokens = Tokens(path, TOKEN)
        _, first = await tokens.create(SAM, OWNER)
        _, second = await tokens.rotate("sam", keep=10_000_000)
        assert tokens.identify(first) == tokens.identify(second) == SAM
        later = time.time_ns() + 11 * 10**9
        monkeypatch.setattr("headway.service.tokens.time.time_ns", lambda: later)
        assert tokens.identify(first) is None
        assert tokens.refused(first) == ("sam", "replaced")
        assert tokens.identify(second) == SAM
        _, third = await tokens.rotate("sam")
        assert tokens.identify(second) is None
        assert tokens.identify(third) == SAM

    async def test_the_owner_stays_and_can_be_rotated(self, path: Path) -> None:
        tokens = Tokens(path, TOKEN)
        with pytest.raises(Conflict, match="it stays"):
            await tokens.revoke(OWNER, OWNER)
        _, token = await tokens.rotate(OWNER)
        assert tokens.identify(TOKEN) is None
        assert tokens.identify(token) == Identity(OWNER)
        kept = path.with_name("token")
        assert kept.read_text().strip() == token
        assert kept.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "ä", "x" * 65, "a\n", *sorted(RESERVED)])
    async def test_names_that_cannot_be(self, path: Path, name: str) -> None:
        with pytest.raises(Invalid, match="not a name"):
            await Tokens(path, TOKEN).create(Identity(name), OWNER)
        assert Tokens(path, TOKEN).views() == Tokens(None, TOKEN).views()

    async def test_an_operator_of_a_tenant_and_a_past_end_cannot_be(self, path: Path) -> None:
        for role in (Role.operator, Role.admin):
            with pytest.raises(Invalid, match="cannot be confined"):
                await Tokens(path, TOKEN).create(Identity("x", role, frozenset({"red"})), OWNER)
        with pytest.raises(Invalid, match="expired already"):
            await Tokens(path, TOKEN).create(SAM, OWNER, expires=1)

    async def test_unknown(self, path: Path) -> None:
        tokens = Tokens(path, TOKEN)
        for act in (tokens.revoke("nobody", OWNER), tokens.rotate("nobody")):
            with pytest.raises(NotFound, match="nobody"):
                await act

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"format": 2, "tokens": []}', '{"format": 1, "tokens": [{}]}']
    )
    def test_a_file_that_is_not_ours(self, path: Path, text: str) -> None:
        path.touch(0o600)
        path.write_text(text)
        with pytest.raises(Invalid, match="does not hold tokens"):
            Tokens(path, TOKEN)

    def test_a_file_that_is_open_to_others(self, path: Path) -> None:
        path.write_text('{"format": 1, "tokens": []}')
        path.chmod(0o660)
        with pytest.raises(Denied, match="open to others"):
            Tokens(path, TOKEN)


class TestRoutes:
    async def test_a_life(self, http: httpx.AsyncClient, service: Service) -> None:
        body = {"name": "ci", "role": "submitter", "tenants": ["red"], "lasts": 60_000_000}
        answer = await http.post("/v1/tokens", json=body)
        given = answer.json()
        assert answer.status_code == 201
        assert answer.headers["cache-control"] == "no-store"
        async with client_of(service, Authorization=f"Bearer {given['token']}") as ci:
            who = {"name": "ci", "role": "submitter", "tenants": ["red"]}
            assert (await ci.get("/v1/whoami")).json() == who
            problem(await ci.get("/v1/tokens"), 403, "no_right")
            rotated = (await http.post("/v1/tokens/ci/rotate")).json()
            problem(await ci.get("/v1/whoami"), 401, "denied")
        async with client_of(service, Authorization=f"Bearer {rotated['token']}") as ci:
            assert (await ci.get("/v1/whoami")).status_code == 200
            assert (await http.delete("/v1/tokens/ci")).json()["state"] == "revoked"
            assert "revoked" in problem(await ci.get("/v1/whoami"), 401, "denied")["detail"]
        shown = (await http.get("/v1/tokens")).text
        assert given["token"] not in shown
        assert rotated["token"] not in shown

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": "x", "role": "king"},
            {"name": "x", "role": "viewer", "lasts": 0},
            {"name": "x", "role": "viewer", "tenants": [""]},
            {"name": "x", "role": "operator", "tenants": ["red"]},
            {"name": "owner", "role": "viewer"},
            {"name": "x", "role": "viewer", "admin": True},
        ],
    )
    async def test_bad_ones(self, http: httpx.AsyncClient, body: dict[str, Any]) -> None:
        problem(await http.post("/v1/tokens", json=body), 422, "invalid")
        assert [view["name"] for view in (await http.get("/v1/tokens")).json()] == [OWNER]


@pytest.mark.parametrize("stream", ["/v1/events", "/v1/runs/a/events", "/v1/tasks/a/one/logs?follow=true"])
def test_a_stream_is_cut_when_its_token_is_taken_back(tmp_path: Path, stream: str) -> None:
    service = Service(tmp_path, tokens={"t-sam": Identity("sam", Role.viewer)})
    service.planner.add("a")
    with served(service) as url, httpx.Client(base_url=url, timeout=10) as http:

        def revoke() -> None:
            asyncio.run_coroutine_threadsafe(service.tokens.revoke("sam", OWNER), service.loop)  # type: ignore[attr-defined]

        headers = {"Authorization": "Bearer t-sam"}
        with http.stream("GET", stream, headers=headers) as answer:
            assert answer.status_code == 200
            began = time.monotonic()
            revoke()
            with pytest.raises(httpx.RemoteProtocolError):  # broken off: what came is not whole
                for _ in answer.iter_bytes():
                    pass
            assert time.monotonic() - began < CUT_WITHIN + 8
        assert service.planner.watchers == 0
        assert http.get("/v1/version", headers=headers).status_code == 401
        assert http.get("/v1/version", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


async def test_who_goes_away_by_himself_leaves_nothing(service: Service) -> None:
    """A server that ends, or a client that gives up, cancels the request: that is no cut of ours."""
    service.planner.add("a")
    async with client_of(service) as http:
        waiting = asyncio.create_task(http.get("/v1/runs/a?wait=29"))
        await asyncio.sleep(0)
        while not service.planner.watchers:
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await http.get("/v1/version")).status_code == 200
    assert service.planner.watchers == 0
    assert not service.app._gate._underway._open


def test_a_long_look_is_answered_when_its_token_is_taken_back(tmp_path: Path) -> None:
    service = Service(tmp_path, tokens={"t-sam": Identity("sam", Role.viewer)})
    service.planner.add("a")
    with served(service) as url, httpx.Client(base_url=url, timeout=30) as http:
        service.loop.call_soon_threadsafe(  # type: ignore[attr-defined]
            lambda: service.loop.call_later(0.05, asyncio.ensure_future, service.tokens.revoke("sam", OWNER))  # type: ignore[attr-defined]
        )
        answer = http.get("/v1/runs/a?wait=29", headers={"Authorization": "Bearer t-sam"})
    problem(answer, 401, "denied")
