"""Every call of the API as a request, built once for both clients. A call is here if and only if a route
serves it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from headway.domain.schedule import check_name
from headway.errors import Invalid

JSON = "application/json"
#: Seconds that the service may wait for its follower.
WHY = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: GET, POST, …
        path: With the query.
        body: Content, if any.
        headers: Besides Host, Authorization and Content-Length.
        hold: Seconds the service may take on purpose (a long poll).
        repeatable: Sending it twice does what sending it once does.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: float = 0
    repeatable: bool = False


def _get(path: str, hold: float = 0, **query: Any) -> Request:
    given = {name: value for name, value in query.items() if value is not None}
    return Request("GET", path + ("?" + urlencode(given) if given else ""), hold=hold, repeatable=True)


def _send(
    method: str, path: str, content: Any = None, *, repeatable: bool = False, **headers: str
) -> Request:
    if content is None:
        return Request(method, path, b"" if method == "POST" else None, headers, repeatable=repeatable)
    body = json.dumps(content, separators=(",", ":")).encode()
    return Request(method, path, body, {"Content-Type": JSON, **headers}, repeatable=repeatable)


def _of_task(task: str, *more: str) -> str:
    run, _, name = task.partition("/")
    if not run or not name:
        raise Invalid(
            f"{task!r} is not the id of a task", hint=f"write {run or 'RUN'}/NAME; `headway tasks` lists them"
        )
    return "/".join(["/v1/tasks", quote(run, safe=""), quote(name, safe=""), *more])


def _of_run(run: str, *more: str) -> str:
    return "/".join(["/v1/runs", quote(run, safe=""), *more])


def submit(body: dict[str, Any], key: str) -> Request:
    """With an idempotency key, so that it can be sent again when the answer was lost."""
    request = _send("POST", "/v1/runs", body, repeatable=True)
    request.headers["Idempotency-Key"] = key
    return request


def runs(
    state: str | None, limit: int, after: str | None, workflow: str | None = None, version: str | None = None
) -> Request:
    return _get("/v1/runs", state=state, limit=limit, after=after, workflow=workflow, version=version)


def run(id: str, wait: float = 0) -> Request:
    return _get(_of_run(id), hold=wait, wait=wait or None)


def cancel(target: str, reason: str) -> Request:
    path = _of_task(target, "cancel") if "/" in target else _of_run(target, "cancel")
    return _send("POST", path, {"reason": reason})


def approve(task: str, yes: bool, reason: str) -> Request:
    run, _, name = task.partition("/")
    path = f"/v1/tasks/{quote(run, safe='')}/{quote(name, safe='')}/approve"
    return _send("POST", path, {"yes": yes, "reason": reason})


def signal(run: str, name: str, value: Any, reason: str) -> Request:
    return _send("POST", _of_run(run, f"signals/{quote(name, safe='')}"), {"value": value, "reason": reason})


def pause(target: str, reason: str, stop: bool) -> Request:
    return _send("POST", _of(target, "pause"), {"reason": reason, "stop": stop}, repeatable=True)


def resume(target: str) -> Request:
    return _send("POST", _of(target, "resume"), repeatable=True)


def edit(target: str, changes: dict[str, Any], reason: str) -> Request:
    given = {name: value for name, value in changes.items() if value is not None}
    return _send("PATCH", _of(target), {**given, "reason": reason}, repeatable=True)


def _of(target: str, *more: str) -> str:
    return _of_task(target, *more) if "/" in target else _of_run(target, *more)


def retry(run: str) -> Request:
    return _send("POST", _of_run(run, "retry"))


def run_events(run: str) -> Request:
    return _get(_of_run(run, "events"))


def events() -> Request:
    return _get("/v1/events")


def tasks(run: str | None, state: str | None, limit: int, offset: int) -> Request:
    return _get("/v1/tasks", run=run, state=state, limit=limit, offset=offset or None)


def task(id: str) -> Request:
    return _get(_of_task(id))


def why(task: str, at: int | None) -> Request:
    return _get(_of_task(task, "why"), hold=WHY, at=at)


def logs(task: str, follow: bool, tail: int | None) -> Request:
    return _get(_of_task(task, "logs"), follow="true" if follow else None, tail=tail)


def nodes() -> Request:
    return _get("/v1/nodes")


def _of_schedule(name: str, *more: str) -> str:
    return "/".join(["/v1/schedules", check_name(name), *more])


def schedules() -> Request:
    return _get("/v1/schedules")


def schedule(name: str, count: int) -> Request:
    return _get(_of_schedule(name), count=count)


def set_schedule(name: str, body: dict[str, Any]) -> Request:
    return _send("PUT", _of_schedule(name), body)


def remove_schedule(name: str) -> Request:
    return _send("DELETE", _of_schedule(name))


def pause_schedule(name: str, reason: str) -> Request:
    return _send("POST", _of_schedule(name, "pause"), {"reason": reason})


def resume_schedule(name: str) -> Request:
    return _send("POST", _of_schedule(name, "resume"))


def backfill(name: str, body: dict[str, Any]) -> Request:
    return _send("POST", _of_schedule(name, "backfill"), body)


def cancel_backfill(name: str) -> Request:
    return _send("DELETE", _of_schedule(name, "backfill"))


def send_event(name: str, payload: Any, key: str) -> Request:
    request = _send("POST", _of_schedule(name, "events"), payload, repeatable=True)
    request.headers["Idempotency-Key"] = key
    return request


def windows() -> Request:
    return _get("/v1/windows")


def set_window(body: dict[str, Any]) -> Request:
    return _send("POST", "/v1/windows", body)


def clear_window(id: str) -> Request:
    return _send("DELETE", f"/v1/windows/{quote(id, safe='')}")


def tenants() -> Request:
    return _get("/v1/tenants")


def rates() -> Request:
    return _get("/v1/rates")


def pools() -> Request:
    return _get("/v1/pools")


def set_pool(pool: str, slots: int | None) -> Request:
    path = f"/v1/pools/{quote(pool, safe='')}"
    return _send("DELETE", path) if slots is None else _send("PUT", path, {"slots": slots})


def set_quota(tenant: str, quota: dict[str, Any] | None) -> Request:
    path = f"/v1/tenants/{quote(tenant, safe='')}/quota"
    return _send("DELETE", path) if quota is None else _send("PUT", path, quota)


def set_rate(rate: str, limit: dict[str, Any] | None) -> Request:
    path = f"/v1/rates/{quote(rate, safe='')}"
    return _send("DELETE", path) if limit is None else _send("PUT", path, limit)


def tokens() -> Request:
    return _get("/v1/tokens")


def create_token(name: str, role: str, tenants: list[str], lasts: int | None) -> Request:
    return _send("POST", "/v1/tokens", {"name": name, "role": role, "tenants": tenants, "lasts": lasts})


def revoke_token(name: str) -> Request:
    return _send("DELETE", f"/v1/tokens/{quote(name, safe='')}")


def rotate_token(name: str, keep: int) -> Request:
    return _send("POST", f"/v1/tokens/{quote(name, safe='')}/rotate", {"keep": keep})


def audit(limit: int, wanted: dict[str, Any]) -> Request:
    return _get("/v1/audit", 0, limit=limit, **{name: value or None for name, value in wanted.items()})


def whoami() -> Request:
    return _get("/v1/whoami")


def stats() -> Request:
    return _get("/v1/stats")


def version() -> Request:
    return _get("/v1/version")


def ready() -> Request:
    return _get("/v1/health/ready")


def policy() -> Request:
    return _get("/v1/policy")


def set_policy(order: str, discipline: str, placement: str) -> Request:
    body = {"order": order, "discipline": discipline, "placement": placement}
    return _send("PUT", "/v1/policy", body, repeatable=True)


def override(kind: str, target: str, reason: str, ttl: int, amount: int, node: str) -> Request:
    body = {"kind": kind, "target": target, "reason": reason, "ttl": ttl, "amount": amount, "node": node}
    return _send("POST", "/v1/overrides", body)


def overrides() -> Request:
    return _get("/v1/overrides")


def agents() -> Request:
    return _get("/v1/agents")


def revert(id: str) -> Request:
    return _send("DELETE", f"/v1/overrides/{quote(id, safe='')}")


def put_blob(sha: str, data: bytes) -> Request:
    return Request(
        "PUT",
        f"/v1/blobs/{sha}",
        data,
        {"Content-Type": "application/octet-stream"},
        hold=300,
        repeatable=True,
    )


def get_blob(sha: str) -> Request:
    return _get(f"/v1/blobs/{sha}", hold=300)
