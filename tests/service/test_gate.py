"""Who is let in: the token, the Host, the Origin, and the size of a body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from headway.errors import Denied
from headway.service.gate import host_name
from headway.service.identity import ensure_token, read_token

from .fakes import TOKEN, Service
from .test_routes import client_of, problem, submission


@pytest.fixture
def bare(service: Service) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://127.0.0.1:1234")


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"],
)
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/health/live", "/v1/openapi.json", "/nowhere"])
async def test_nothing_is_shown_without_the_token(
    bare: httpx.AsyncClient, header: str | None, path: str
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = await bare.get(path, headers=headers)  # type: ignore[arg-type]
    problem(answer, 401, "denied")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:99", "localhost:5", "LOCALHOST", "[::1]:80", "[::1]"]
)
async def test_our_own_names(service: Service, host: str) -> None:
    async with client_of(service, Host=host) as http:
        assert (await http.get("/v1/version")).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "localhost.evil", "0.0.0.0"]
)
async def test_a_rebound_name_is_refused_even_with_the_token(service: Service, host: str) -> None:
    async with client_of(service, Host=host) as http:
        problem(await http.get("/v1/version"), 403, "forbidden")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:1234", "http://127.0.0.1:9", "file://"]
)
async def test_a_web_page_that_posts_is_refused(service: Service, origin: str) -> None:
    """The browser of someone who runs a service opens a page that posts a submission to the loopback port."""
    async with client_of(service, Origin=origin) as http:
        answer = await http.post("/v1/runs", json=submission(), headers={"Content-Type": "text/plain"})
        problem(answer, 403, "forbidden")
    assert service.planner.submitted == []


async def test_our_own_origin_may(service: Service) -> None:
    async with client_of(service, Origin="http://127.0.0.1:1234") as http:
        assert (await http.get("/v1/version")).status_code == 200


async def test_a_preflight_is_not_answered_with_permission(bare: httpx.AsyncClient) -> None:
    answer = await bare.options(
        "/v1/runs", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


class TestBodies:
    async def test_announced_too_large(self, tmp_path: Path) -> None:
        service = Service(tmp_path, json_limit=1000)
        async with client_of(service) as http:
            body = problem(await http.post("/v1/runs", content=b"x" * 1001), 413, "too_large")
            assert body["fields"]["limit"] == 1000

    @pytest.mark.parametrize("path", ["/v1/runs", "/v1/runs/a/cancel", "/v1/overrides"])
    async def test_chunked_too_large(self, tmp_path: Path, path: str) -> None:
        """Nobody announced a length: it is counted on the way, on hand-read and framework-read routes
        alike.
        """
        service = Service(tmp_path, json_limit=1000)
        service.planner.add("a")

        async def chunks() -> Any:
            for _ in range(20):
                yield b" " * 100

        async with client_of(service) as http:
            problem(await http.post(path, content=chunks()), 413, "too_large")

    async def test_a_length_that_is_no_number(self, service: Service) -> None:
        async with client_of(service) as http:
            answer = await http.post("/v1/runs", content=b"{}", headers={"Content-Length": "-5"})
            problem(answer, 400, "malformed")


class TestTokens:
    def test_made_once_and_private(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        token = ensure_token(path)
        assert len(token) >= 40
        assert path.stat().st_mode & 0o777 == 0o600
        assert ensure_token(path) == token == read_token(path)
        assert list(tmp_path.iterdir()) == [path]

    def test_readable_by_others_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        ensure_token(path)
        path.chmod(0o644)
        with pytest.raises(Denied, match="read by others"):
            ensure_token(path)

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "token"
        path.touch(0o600)
        with pytest.raises(Denied, match="holds no token"):
            read_token(path)


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("a", "a"), ("[::1]:5", "[::1]"), ("[::1]", "[::1]"), ("", "")]
)
def test_host_name(host: str, name: str) -> None:
    assert host_name(host) == name
