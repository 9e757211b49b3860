"""Event streams and the end of the service, over a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headway.service.stream import RESET, Watcher

from .fakes import TOKEN, Service, served


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def connect(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:])


def test_a_run_from_its_first_view_to_its_end(service: Service) -> None:
    service.planner.add("a", tasks=["one", "two"])
    service.planner.add("b")
    with served(service) as url, connect(url) as http, http.stream("GET", "/v1/runs/a/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = events(answer)
        assert next(stream)[0] == "run"
        call(service, service.planner.change_task, "a/two", state="running")
        call(service, service.planner.change_task, "b/one", state="running")
        call(service, service.planner.finish, "a")
        seen = [(name, view.get("name"), view["state"]) for name, view in stream]
    assert seen == [
        ("task", "two", "running"),
        ("task", "one", "finished"),
        ("task", "two", "finished"),
        ("end", "flow", "finished"),
    ]


def call(service: Service, function: Any, *args: Any, **kwargs: Any) -> None:
    service.loop.call_soon_threadsafe(lambda: function(*args, **kwargs))  # type: ignore[attr-defined]


def test_a_run_that_is_over_ends_at_once(service: Service) -> None:
    service.planner.add("a")
    service.planner.finish("a")
    with served(service) as url, connect(url) as http, http.stream("GET", "/v1/runs/a/events") as answer:
        assert [name for name, _ in events(answer)] == ["end"]


def test_stopping_ends_streams_and_waits(service: Service) -> None:
    """An operator stops the service while someone follows a run: it does not hang until they go."""
    service.planner.add("a")
    with served(service) as url:
        http = connect(url)
        with http.stream("GET", "/v1/events") as everything, http.stream("GET", "/v1/runs/a/events") as one:
            all_changes, its_changes = events(everything), events(one)
            assert next(its_changes)[0] == "run"
            call(
                service,
                service.planner.publish,
                {"type": "task", "id": "a/one", "run": "a", "state": "running"},
            )
            assert next(its_changes)[0] == "task"
            began = time.monotonic()
            begin_stop(service)
            assert [name for name, _ in its_changes] in ([], ["reset", "run"])
            assert {name for name, _ in all_changes} <= {"task", "reset"}
    assert time.monotonic() - began < 5


def begin_stop(service: Service) -> None:
    asyncio.run_coroutine_threadsafe(service.app.stop(), service.loop).result(5)  # type: ignore[attr-defined]


class TestWatcher:
    async def test_one_that_is_behind_gets_one_reset(self) -> None:
        watcher = Watcher(lambda _: True, 3)
        for n in range(10):
            watcher.put({"n": n})
        got = []
        while (change := await watcher.next(0)) is not None:
            got.append(change)
        assert got[0] is RESET
        assert len(got) <= 3

    async def test_only_what_it_wants(self) -> None:
        watcher = Watcher(lambda change: change["n"] % 2 == 0, 10)
        for n in range(4):
            watcher.put({"n": n})
        assert [(await watcher.next(0) or {})["n"] for _ in range(2)] == [0, 2]
        assert await watcher.next(0.01) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\xff\x16\x03\x01" + b"\x80" * 200,
        b"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999\r\n\r\n",
        b"GET /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_a_stranger_on_the_port_harms_nothing(service: Service, raw: bytes) -> None:
    with served(service) as url:
        host, _, port = url.rpartition("//")[2].partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            first = sock.recv(200)
        assert b" 200 " not in first
        with connect(url) as http:
            assert http.get("/v1/health/live").status_code == 200
