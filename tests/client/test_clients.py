"""Every test runs on the blocking and on the asynchronous client, against a real socket."""

from __future__ import annotations

import hashlib
import inspect
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from headway.client import AsyncClient, AsyncRunHandle, Client, RunFailed, RunHandle, WaitTimeout
from headway.client.submission import Submission, new_run_id
from headway.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from headway.service.routes.runs import RUN_ID
from tests.service.fakes import TOKEN, Service, served

HELLO = {"name": "hello", "tasks": [{"name": "greet"}]}


def packed(run: str = "hello-1", blobs: dict[str, bytes] | None = None, **fields: Any) -> Submission:
    return Submission({"run": run, "workflow": HELLO, "values": {}, "bundle": "", **fields}, blobs or {})


def later(service: Service, function: Any, *args: Any, after: float = 0.1) -> None:
    loop = service.loop  # type: ignore[attr-defined]
    loop.call_soon_threadsafe(lambda: loop.call_later(after, function, *args))


class TestSubmit:
    def test_and_wait(self, client: Any, service: Service) -> None:
        handle = client.submit_packed(packed())
        assert (handle.id, handle.state) == ("hello-1", "running")
        later(service, service.planner.finish, "hello-1")
        assert handle.wait(10)["state"] == "finished"

    def test_sends_only_what_is_missing_and_once(self, client: Any, service: Service) -> None:
        blobs = {hashlib.sha256(data).hexdigest(): data for data in (b"a" * 10, b"b" * 3_000_000)}
        first, second = blobs
        values = {"v": {"kind": "blob", "data": second}}
        client.submit_packed(packed("r1", blobs, bundle=first, values=values))
        assert all(service.blobs.path(sha).read_bytes() == data for sha, data in blobs.items())
        stamps = [service.blobs.path(sha).stat().st_mtime_ns for sha in blobs]
        client.submit_packed(packed("r2", blobs, bundle=first, values=values))
        assert [service.blobs.path(sha).stat().st_mtime_ns for sha in blobs] == stamps
        assert [body["run"] for body in service.planner.submitted] == ["r1", "r2"]

    def test_a_blob_nobody_has_is_an_error(self, client: Any) -> None:
        with pytest.raises(Invalid, match="1 of the blobs"):
            client.submit_packed(packed(bundle="0" * 64))

    def test_same_key_is_the_same_run(self, client: Any) -> None:
        first = client.submit_packed(packed("a"), idempotency_key="k")
        assert client.submit_packed(packed("b"), idempotency_key="k").id == first.id

    def test_an_own_key_each_time_by_default(self, client: Any, service: Service) -> None:
        client.submit_packed(packed("a"))
        client.submit_packed(packed("b"))
        assert [body["key"] for body in service.planner.submitted] == ["a", "b"]


class TestOutcomes:
    def test_failed_names_task_and_next_step(self, client: Any, service: Service) -> None:
        handle = client.submit_packed(packed())
        later(
            service, service.planner.finish, "hello-1", "failed",
            {"task": "hello-1/greet", "type": "ValueError", "message": "no data"},
        )  # fmt: skip
        with pytest.raises(RunFailed, match="ValueError: no data") as failed:
            handle.result(10)
        assert "headway logs hello-1/greet" in (failed.value.hint or "")
        assert failed.value.fields["run"]["state"] == "failed"
        assert failed.value.exit_code == 3

    def test_cancelled(self, client: Any) -> None:
        handle = client.submit_packed(packed())
        assert handle.cancel("enough")["state"] == "cancelled"
        with pytest.raises(RunFailed, match="was cancelled"):
            handle.result(10)

    def test_not_over_in_time(self, client: Any) -> None:
        began = time.monotonic()
        with pytest.raises(WaitTimeout, match="still running after 200 ms"):
            client.submit_packed(packed()).wait(0.2)
        assert 0.15 < time.monotonic() - began < 5

    def test_a_look_without_waiting(self, client: Any) -> None:
        with pytest.raises(WaitTimeout):
            client.submit_packed(packed()).wait(0)

    def test_retry(self, client: Any, service: Service) -> None:
        handle = client.submit_packed(packed())
        handle.cancel()
        assert handle.retry()["state"] == "running"
        assert ("retry", "hello-1", "owner") in service.planner.calls


class TestCalls:
    def test_listings(self, client: Any, service: Service) -> None:
        for name in "abc":
            client.submit_packed(packed(name))
        assert [view["id"] for view in client.runs(limit=2)] == ["c", "b"]
        assert [view["id"] for view in client.runs(after="b")] == ["a"]
        assert [view["id"] for view in client.tasks("a")] == ["a/greet"]
        assert client.task("a/greet")["name"] == "greet"
        assert client.nodes()[0]["node"] == "local"
        assert client.stats()["scheduler"]["decisions"] == 7
        assert client.version()["api"] == "v1"
        assert client.ready() == {"status": "ready"}

    def test_names_with_brackets_and_odd_letters(self, client: Any, service: Service) -> None:
        service.planner.add("a", tasks=["fit[3]", "a b?c#d%e"])
        assert client.task("a/fit[3]")["name"] == "fit[3]"
        assert client.task("a/a b?c#d%e")["name"] == "a b?c#d%e"
        assert client.why("a/fit[3]")["task"] == "a/fit[3]"

    def test_policy_and_overrides(self, client: Any, service: Service) -> None:
        assert client.policy()["order"] == "joint"
        assert client.set_policy("priority > srpt", "strict")["order"] == "priority > srpt"
        assert client.set_policy("fcfs", placement="spread")["placement"] == "spread"
        made = client.override("boost", "a", "urgent", ttl=60_000_000)
        assert made["kind"] == "boost"
        assert client.revert("o-1")["reverted"] is True

    def test_all_tasks_of_a_large_run(self, client: Any, service: Service) -> None:
        service.planner.add("a", tasks=[f"t[{i}]" for i in range(2500)])
        assert len(client.get("a").tasks()) == 2500

    def test_logs(self, client: Any, service: Service) -> None:
        service.planner.add("a")
        log = service.settings.state / "logs" / "a" / "one.log"
        log.parent.mkdir(parents=True)
        log.write_bytes(b"x" * 300_000 + b"\nend\n")
        assert b"".join(client.logs("a/one")) == log.read_bytes()
        later(service, service.planner.finish, "a", after=0.3)
        assert b"".join(client.logs("a/one", follow=True, tail=4)) == b"end\n"

    def test_events_of_a_run(self, client: Any, service: Service) -> None:
        client.submit_packed(packed())
        later(service, service.planner.finish, "hello-1", after=0.3)
        seen = [(event["event"], event.get("state")) for event in client.events("hello-1")]
        assert seen == [("run", "running"), ("task", "finished"), ("end", "finished")]

    def test_blobs(self, client: Any, service: Service) -> None:
        path = service.blobs.path("ab" * 32)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x00\xff" * 1000)
        assert client.read_blob("ab" * 32) == b"\x00\xff" * 1000


class TestErrors:
    def test_each_kind_comes_back_as_itself(self, client: Any, service: Service) -> None:
        with pytest.raises(NotFound, match="no run 'ghost'") as missing:
            client.run("ghost")
        assert (missing.value.code, missing.value.status) == ("not_found", 404)
        client.submit_packed(packed()).cancel()
        with pytest.raises(Conflict):
            client.cancel("hello-1")
        with pytest.raises(Invalid) as wrong:
            client.set_policy("nonsense")
        assert wrong.value.hint == "known: fcfs, srpt, priority"
        service.planner.fail_next = OSError(28, "No space left on device")
        with pytest.raises(Unavailable) as full:
            client.submit_packed(packed("x"))
        assert full.value.code == "disk_full"
        with pytest.raises(NotFound):
            list(client.logs("a/ghost"))
        with pytest.raises(NotFound):
            next(iter(client.events("ghost")))
        with pytest.raises(NotFound):
            client.read_blob("0" * 64)

    def test_a_wrong_token(self, make: Any, url: str) -> None:
        with pytest.raises(Denied, match="not one of this service's"):
            make(url=url, token="wrong").runs()

    def test_too_large_a_body_is_said_so(self, make: Any, tmp_path: Path) -> None:
        """The service refuses by the announced length and does not read on: that must not look like a broken
        connection.
        """
        small = Service(tmp_path / "small", json_limit=1000)
        with served(small) as url, pytest.raises(Invalid) as refused:
            make(url=url, token=TOKEN).submit_packed(
                packed(values={"v": {"kind": "json", "data": "x" * 3_000_000}})
            )
        assert refused.value.code == "too_large"

    def test_nobody_there_says_how_to_start(self, make: Any) -> None:
        with pytest.raises(Unavailable, match="no service answers at") as gone:
            make(url="http://127.0.0.1:9", token="x").runs()
        assert "headway up" in (gone.value.hint or "")

    def test_a_stranger_on_the_port(self, make: Any) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer() -> None:
                peer, _ = server.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

            thread = threading.Thread(target=answer)
            thread.start()
            with pytest.raises(Unavailable, match="no Headway service"):
                make(url=f"http://127.0.0.1:{server.getsockname()[1]}", token="x").runs()
            thread.join(5)


class TestRestarts:
    def test_a_service_that_restarts_is_waited_for(self, make: Any, tmp_path: Path) -> None:
        """The service is killed while a client waits for its run: the client goes on with the next one."""
        first = Service(tmp_path)
        with served(first) as url:
            client = make(url=url, token=TOKEN)
            handle = client.submit_packed(packed())
        second = Service(tmp_path)
        second.planner.add("hello-1")

        def restart() -> None:
            time.sleep(0.5)
            with served(second, int(url.rpartition(":")[2])):
                later(second, second.planner.finish, "hello-1", after=0.5)
                ended.wait(20)

        ended = threading.Event()
        thread = threading.Thread(target=restart)
        thread.start()
        try:
            assert handle.wait(15)["state"] == "finished"
        finally:
            ended.set()
            thread.join(20)

    def test_one_that_does_not_come_back_is_given_up(self, make: Any, tmp_path: Path) -> None:
        service = Service(tmp_path)
        with served(service) as url:
            client = make(url=url, token=TOKEN, patience=0.3)
            client.runs()
        with pytest.raises(Unavailable, match="is gone") as gone:
            client.runs()
        assert "headway up" in (gone.value.hint or "")

    def test_an_idle_connection_that_was_closed_is_replaced(self, make: Any, tmp_path: Path) -> None:
        service = Service(tmp_path)
        with served(service) as url:
            client = make(url=url, token=TOKEN)
            client.runs()
        with served(service_again := Service(tmp_path), int(url.rpartition(":")[2])):
            service_again.planner.add("a")
            assert client.cancel("a")["state"] == "cancelled"

    def test_what_cannot_be_repeated_is_not(self, make: Any) -> None:
        """The connection breaks after a cancel was sent: nobody knows, so the caller is told, and it is not
        sent again.
        """
        import socket

        seen = []
        with socket.create_server(("127.0.0.1", 0)) as server:

            def swallow() -> None:
                for _ in range(1):
                    peer, _ = server.accept()
                    with peer:
                        seen.append(peer.recv(65536))

            thread = threading.Thread(target=swallow)
            thread.start()
            client = make(url=f"http://127.0.0.1:{server.getsockname()[1]}", token="x")
            with pytest.raises(Unavailable, match="may or may not have been done"):
                client.cancel("a")
            thread.join(5)
        assert len(seen) == 1


def test_the_twins_have_the_same_calls() -> None:
    for one, other in ((Client, AsyncClient), (RunHandle, AsyncRunHandle)):
        names = {name for name in vars(one) if not name.startswith("_")}
        assert names == {name for name in vars(other) if not name.startswith("_")}
        for name in names:
            a, b = getattr(one, name), getattr(other, name)
            if callable(a):
                assert list(inspect.signature(a).parameters.values()) == list(
                    inspect.signature(b).parameters.values()
                ), name
                assert a.__doc__ == b.__doc__, name


def test_run_ids_are_readable_and_accepted() -> None:
    for name in ("train", "my flow!", "ünïcode", "", "x" * 500, "../../etc"):
        run = new_run_id(name)
        assert RUN_ID.match(run), run
    assert new_run_id("train").startswith("train-")
    assert len({new_run_id("a") for _ in range(1000)}) == 1000


def test_importing_the_client_is_cheap(tmp_path: Path) -> None:
    import subprocess
    import sys

    heavy = ("pydantic", "httpx", "numpy", "fastapi", "rich")
    code = f"import sys, headway.client as c; c.Client; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert json.loads(out.replace("'", '"')) == []
