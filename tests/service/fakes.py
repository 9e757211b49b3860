"""A planner, a scheduler and a blob store in memory that keep the ports' contracts, and a server that runs
them.
"""

from __future__ import annotations

import asyncio
import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headway.core.runs.schedules import Schedules
from headway.core.runs.schedules import view as view_of
from headway.domain.override import Override
from headway.errors import Conflict, Invalid, NotFound
from headway.roles.tally import Tally
from headway.service.audit import Audit
from headway.service.http import App, make_app
from headway.service.identity import Identity
from headway.service.listen import bind, url_of
from headway.service.server import serve
from headway.service.tokens import Tokens
from headway.settings import HttpSettings, Settings

TOKEN = "a-token-for-tests"
START = 1_764_000_000_000_000


class FakePlanner:
    """Runs whose tasks end when a test says so."""

    def __init__(self) -> None:
        self.schedules = FakeSchedules()
        self.by_id: dict[str, dict[str, Any]] = {}
        self.task_views: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[str, str]] = {}
        self.submitted: list[dict[str, Any]] = []
        self.calls: list[tuple[str, ...]] = []
        self.fail_next: BaseException | None = None
        self.auto_finish = False
        self.ended = Tally()
        self.stats_view: dict[str, Any] = {"ready": True}
        self.result: dict[str, Any] | None = {"ref": {"kind": "json", "data": 42, "size": 2}}
        self._listeners: list[Callable[[list[dict[str, Any]]], None]] = []
        self._n = 0

    # the port
    # ----------------------------------------------------------------------------------------------------

    async def submit(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        assert set(body) == {"run", "workflow", "values", "bundle", "key", "by"}
        if not isinstance(body["workflow"].get("name"), str):
            raise Invalid("workflow.name is missing")
        content = json.dumps([body["workflow"], body["values"], body["bundle"]])
        if body["key"] in self.keys:
            first, same = self.keys[body["key"]]
            if same != content:
                raise Conflict(f"the key {body['key']!r} belongs to another submission, run {first}")
            return copy.deepcopy(self.by_id[first]) | {"repeated": True}
        if body["run"] in self.by_id:
            raise Conflict(f"there is a run {body['run']!r} already")
        if body["key"]:
            self.keys[body["key"]] = (body["run"], content)
        self.submitted.append(body)
        self.add(
            body["run"], body["workflow"]["name"], [t["name"] for t in body["workflow"].get("tasks", ())]
        )
        if self.auto_finish:
            self.finish(body["run"])
        return copy.deepcopy(self.by_id[body["run"]])

    async def cancel(self, target: str, reason: str, by: str) -> dict[str, Any]:
        self.calls.append(("cancel", target, reason, by))
        view = await self.task(target) if "/" in target else await self.run(target)
        if view["state"] not in ("running", "queued", "waiting"):
            raise Conflict(f"{target} is over: {view['state']}")
        if "/" in target:
            self.change_task(target, state="cancelled")
            return await self.task(target)
        self.finish(target, "cancelled")
        return await self.run(target)

    async def pause(self, target: str, reason: str, stop: bool, by: str) -> dict[str, Any]:
        self.calls.append(("pause", target, reason, str(stop), by))
        return await self._of(target)

    async def resume(self, target: str, by: str) -> dict[str, Any]:
        self.calls.append(("resume", target, by))
        return await self._of(target)

    async def edit(self, target: str, changes: dict[str, int], reason: str, by: str) -> dict[str, Any]:
        self.calls.append(("edit", target, json.dumps(changes), reason, by))
        return await self._of(target)

    async def _of(self, target: str) -> dict[str, Any]:
        return await self.task(target) if "/" in target else await self.run(target)

    async def approve(self, task: str, yes: bool, reason: str, by: str) -> dict[str, Any]:
        await self.task(task)
        self.calls.append(("approve", task, yes, reason, by))
        return await self.task(task)

    async def signal(self, run: str, name: str, value: Any, reason: str, by: str) -> dict[str, Any]:
        self.calls.append(("signal", run, name, value, reason, by))
        return {**await self.run(run), "answered": 0}

    async def retry(self, run: str, by: str) -> dict[str, Any]:
        self.calls.append(("retry", run, by))
        view = await self.run(run)
        if view["state"] == "running":
            raise Conflict(f"{run} is running")
        self._change_run(run, state="running", ended=None)
        return await self.run(run)

    async def runs(
        self,
        state: str | None,
        limit: int,
        after: str | None,
        workflow: str | None = None,
        version: str | None = None,
    ) -> list[dict[str, Any]]:
        newest = sorted(self.by_id.values(), key=lambda view: -view["submitted"])
        newest = [view for view in newest if workflow in (None, view["name"])]
        newest = [view for view in newest if view.get("bundle", "").startswith(version or "")]
        if after is not None:
            place = (await self.run(after))["submitted"]
            newest = [view for view in newest if view["submitted"] < place]
        return [copy.deepcopy(view) for view in newest if state in (None, view["state"])][:limit]

    async def run(self, id: str) -> dict[str, Any]:
        if id not in self.by_id:
            raise NotFound(f"there is no run {id!r}")
        return copy.deepcopy(self.by_id[id])

    async def tasks(
        self, run: str | None, state: str | None, limit: int, offset: int
    ) -> list[dict[str, Any]]:
        if run is not None:
            await self.run(run)
        found = [
            v for v in self.task_views.values() if run in (None, v["run"]) and state in (None, v["state"])
        ]
        return copy.deepcopy(found[offset : offset + limit])

    async def task(self, id: str) -> dict[str, Any]:
        if id not in self.task_views:
            raise NotFound(f"there is no task {id!r}")
        return copy.deepcopy(self.task_views[id])

    def stats(self) -> dict[str, Any]:
        return dict(self.stats_view)

    def tally(self) -> Tally:
        return self.ended

    def listen(self, listener: Callable[[list[dict[str, Any]]], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # what tests do
    # -----------------------------------------------------------------------------------------------

    @property
    def watchers(self) -> int:
        return len(self._listeners)

    def add(self, id: str, name: str = "flow", tasks: list[str] | None = None) -> None:
        names = tasks or ["one"]
        self.by_id[id] = {
            "id": id,
            "name": name,
            "tenant": "default",
            "state": "running",
            "submitted": START + len(self.by_id),
            "ended": None,
            "counts": {"queued": len(names)},
            "result": None,
            "error": None,
        }
        for task in names:
            self.task_views[f"{id}/{task}"] = {
                "id": f"{id}/{task}",
                "run": id,
                "name": task,
                "state": "queued",
                "attempt": 1,
                "attempts": [],
                "node": None,
                "started": None,
                "ended": None,
                "took": None,
                "result": None,
                "error": None,
                "progress": None,
            }

    def change_task(self, id: str, **fields: Any) -> None:
        self.task_views[id].update(fields)
        self.publish({"type": "task", **self.task_views[id]})

    def _change_run(self, id: str, **fields: Any) -> None:
        self.by_id[id].update(fields)
        self.publish({"type": "run", **self.by_id[id]})

    def publish(self, change: dict[str, Any]) -> None:
        self._n += 1
        for listener in tuple(self._listeners):
            listener([{"n": self._n, **change}])

    def finish(self, id: str, state: str = "finished", error: dict[str, Any] | None = None) -> None:
        for task, view in self.task_views.items():
            if view["run"] == id:
                self.change_task(task, state="finished" if state == "finished" else state)
        done = sum(v["run"] == id for v in self.task_views.values())
        self._change_run(
            id, state=state, ended=START + 10**6, counts={state: done}, error=error,
            result=self.result if state == "finished" else None,
        )  # fmt: skip


class FakeSchedules:
    """The real core of schedules, without a planner around it."""

    def __init__(self) -> None:
        self.core = Schedules()
        self.known: set[str] = set()

    def entry(self, name: str) -> Any:
        return self.core.get(name)

    def views(self) -> list[dict[str, Any]]:
        return [view_of(entry) for entry in self.core]

    def view(self, name: str) -> dict[str, Any]:
        return view_of(self.core.get(name))

    async def put(
        self, name: str, schedule: dict[str, Any], submission: dict[str, Any], by: str
    ) -> dict[str, Any]:
        return view_of(self.core.put(name, schedule, submission, by, START))

    async def remove(self, name: str, by: str) -> dict[str, Any]:
        return view_of(self.core.remove(name))

    async def pause(self, name: str, reason: str, by: str) -> dict[str, Any]:
        return view_of(self.core.pause(name, by, reason, START))

    async def resume(self, name: str, by: str) -> dict[str, Any]:
        return view_of(self.core.resume(name, START))

    async def event(self, name: str, key: str, payload: Any) -> dict[str, Any]:
        run = self.core.event(name, key, payload)
        repeated = run in self.known
        self.known.add(run)
        return {"run": run, "repeated": repeated}

    async def backfill(self, name: str, rows: Any, parallel: int, by: str) -> dict[str, Any]:
        return {"known": 0, **view_of(self.core.backfill(name, rows, parallel, by))}

    async def cancel_backfill(self, name: str, by: str) -> dict[str, Any]:
        return view_of(self.core.cancel_backfill(name))


class FakeScheduler:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.node_views = [
            {
                "node": "local",
                "cpu": 4000,
                "cpu_free": 1000,
                "memory": 2**33,
                "memory_free": 2**33,
                "gpus": 2,
                "gpus_free": [1000, 500],
                "other": {"tokens": 3000},
                "other_free": {"tokens": 1500},
                "labels": {"arch": "x86_64"},
                "cordoned": False,
                "incarnation": "1",
                "leases": 3,
                "tasks": 3,
                "claims": [],
            }
        ]

    async def why(self, task: str, at: int | None = None) -> dict[str, Any]:
        self.calls.append(("why", task))
        if task.endswith("/ghost"):
            raise NotFound(f"there is no task {task!r}")
        return {
            "task": task,
            "state": "queued",
            "text": "waits for cpu: asked 2, free 1 of 4 on local",
            "place": 3,
        }

    def nodes(self) -> list[dict[str, Any]]:
        return copy.deepcopy(self.node_views)

    def stats(self) -> dict[str, Any]:
        return {"ready": True, "decisions": 7}

    def policy(self) -> dict[str, Any]:
        return {"order": "joint", "discipline": "skip", "placement": "best_fit", "plan": None}

    async def set_policy(self, order: str, discipline: str, placement: str, by: str) -> dict[str, Any]:
        if "nonsense" in order:
            raise Invalid(f"there is no order {order!r}", hint="known: fcfs, srpt, priority")
        self.calls.append(("policy", order, discipline, placement, by))
        return {"order": order, "discipline": discipline, "placement": placement or "best_fit"}

    async def override(self, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("override", body))
        Override(**body)
        return dict(body)

    def overrides(self) -> list[dict[str, Any]]:
        return [body for what, body, *_ in self.calls if what == "override"]

    def agents(self) -> list[dict[str, Any]]:
        return [{"name": "scheduler", "autonomy": "off", "heard": 0, "counts": {}, "latest": []}]

    def tenants(self) -> list[dict[str, Any]]:
        return [{"tenant": name, **(quota or {})} for what, name, quota, *_ in self.calls if what == "quota"]

    def rates(self) -> list[dict[str, Any]]:
        return [{"rate": name, **(limit or {})} for what, name, limit, *_ in self.calls if what == "rate"]

    def pools(self) -> list[dict[str, Any]]:
        return [{"pool": name, "slots": slots} for what, name, slots, *_ in self.calls if what == "pool"]

    async def set_pool(self, pool: str, slots: int | None, by: str) -> dict[str, Any]:
        self.calls.append(("pool", pool, slots, by))
        return {"pool": pool}

    async def set_quota(self, tenant: str, quota: dict[str, Any] | None, by: str) -> dict[str, Any]:
        self.calls.append(("quota", tenant, quota, by))
        return {"tenant": tenant}

    async def set_rate(self, rate: str, limit: dict[str, Any] | None, by: str) -> dict[str, Any]:
        self.calls.append(("rate", rate, limit, by))
        return {"rate": rate}

    def admissible(self, workflow: dict[str, Any]) -> None:
        self.calls.append(("admissible", workflow.get("name")))

    def windows(self) -> list[dict[str, Any]]:
        return [body for what, body, *_ in self.calls if what == "window"]

    async def set_window(self, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(("window", body))
        return dict(body)

    async def clear_window(self, id: str, by: str) -> dict[str, Any]:
        if id != "w-1":
            raise NotFound(f"there is no window {id!r}")
        self.calls.append(("clear_window", id, by))
        return {"id": id}

    async def revert(self, id: str, by: str) -> dict[str, Any]:
        if id != "o-1":
            raise NotFound(f"there is no override {id!r}")
        self.calls.append(("revert", id, by))
        return {"id": id, "reverted": True}


class FolderBlobs:
    """Files under their hash, as the store lays them out."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha: str) -> Path:
        return self._folder / sha[:2] / sha[2:]

    def touch(self, sha: str) -> bool:
        return self.path(sha).is_file()

    def size(self, sha: str) -> int:
        return self.path(sha).stat().st_size


class Service:
    """An app on fakes."""

    def __init__(self, state: Path, *, tokens: dict[str, Identity] | None = None, **http: Any) -> None:
        self.planner, self.scheduler = FakePlanner(), FakeScheduler()
        self.blobs = FolderBlobs(state / "blobs")
        self.settings = Settings(state=state, http=HttpSettings(**http))
        self.tokens = Tokens(state / "tokens.json", TOKEN)
        for token, who in (tokens or {}).items():
            asyncio.run(self.tokens.admit(token, who, "owner"))
        self.audit = Audit(state / "audit")
        self.app: App = make_app(
            self.planner, self.scheduler, self.blobs, self.settings, self.tokens, self.audit
        )


@contextmanager
def served(service: Service, port: int = 0) -> Iterator[str]:
    """The service on a real socket, in a thread with a loop of its own; gives its URL."""
    sock = bind("127.0.0.1", port)
    url = url_of(sock)
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(serve(service.app, sock, stop=stop, ready=ready, grace=2))
        await ready.wait()
        started.set()
        await task

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(10)
    service.loop = loop  # type: ignore[attr-defined]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive(), "the server did not stop"
        loop.close()
