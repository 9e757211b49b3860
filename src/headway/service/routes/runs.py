"""`/v1/runs`: submit, list, look, wait, cancel, retry, watch."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from headway.errors import Invalid
from headway.service import confined
from headway.service.identity import Identity
from headway.service.problems import Malformed
from headway.service.rights import check_tenant
from headway.service.routes.models import (
    COMMON,
    CONFLICT,
    MISSING,
    RUN_EXAMPLE,
    SUBMIT_EXAMPLE,
    CancelBody,
    Limit,
    example,
    problem,
)  # fmt: skip
from headway.service.state import Caller, Ports, Principal, Shared, caller_of, shared_of
from headway.service.stream import changes_of
from headway.service.uploads import SHA256
from headway.service.waiting import MAX_WAIT, run_when_over

router = APIRouter(prefix="/runs", tags=["runs"], responses=COMMON)

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
KEY_LIMIT = 200
HEARTBEAT = 15.0
"""Seconds between comments on an idle event stream, so that both ends notice a dead connection."""

DEFAULT_TENANT = "default"
_SUBMIT_FIELDS = {"run": str, "workflow": dict, "values": dict, "bundle": str}
_REQUIRED = ("run", "workflow")


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def parse_submission(raw: bytes) -> dict[str, Any]:
    """The body of a submission; its workflow is validated by the planner, which alone knows what it can hold.

    Raises:
        Malformed: It is not JSON.
        Invalid: A field is missing, unknown or of another type.
    """
    try:
        body = json.loads(raw, parse_constant=_no_constant)
        if b"\\u" in raw:
            json.dumps(body, ensure_ascii=False).encode()  # half of a surrogate pair could never be stored
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise Invalid(
            "the body is not a JSON object", hint='send {"run": …, "workflow": …, "values": …, "bundle": …}'
        )
    for name, value in body.items():
        wanted = _SUBMIT_FIELDS.get(name)
        if wanted is None:
            raise Invalid(
                f"there is no field {name[:80]!r} in a submission",
                hint=f"known fields: {', '.join(_SUBMIT_FIELDS)}",
            )
        if not isinstance(value, wanted):
            raise Invalid(f"field {name!r} is not {'an object' if wanted is dict else 'a text'}")
    for name in _REQUIRED:
        if name not in body:
            raise Invalid(f"field {name!r} is missing")
    if not RUN_ID.match(body["run"]):
        raise Invalid(
            f"{body['run'][:80]!r} is not a run id", hint="letters, digits, '-', '_' and '.'; at most 100"
        )
    if body.get("bundle") and not SHA256.match(body["bundle"]):
        raise Invalid(
            "field 'bundle' is not a SHA-256", hint="send the bundle with PUT /v1/blobs/{sha256} first"
        )
    return body


def missing_blobs(shared: Shared, body: dict[str, Any]) -> list[str]:
    """Content that is referred to but not here: it must be found out before the run is acknowledged, not when a task
    needs it.
    """
    wanted = [body["bundle"]] if body["bundle"] else []
    for key, ref in body["values"].items():
        if not isinstance(ref, dict):
            raise Invalid(
                f"values[{key[:80]!r}] is not a reference", hint='a reference is {"kind": "json", "data": …}'
            )
        if ref.get("kind") == "blob":
            sha = ref.get("data")
            if not isinstance(sha, str) or not SHA256.match(sha):
                raise Invalid(
                    f"values[{key[:80]!r}] does not name a blob",
                    hint="its data is the SHA-256 of the content",
                )
            wanted.append(sha)
    return [sha for sha in wanted if not shared.blobs.touch(sha)]


@router.post(
    "",
    status_code=201,
    summary="Submit a workflow",
    openapi_extra={
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": KEY_LIMIT},
                "description": "The same key again returns the first run; with another body: 409.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Submission"},
                    "example": SUBMIT_EXAMPLE,
                }
            },
        },
    },
    responses={
        200: example(RUN_EXAMPLE | {"repeated": True}, "The key is known: the run it belongs to."),
        201: example(RUN_EXAMPLE, "Accepted and on disk."),
        400: problem("the body is not JSON", 400, "malformed"),
        413: problem("the body is too large", 413, "too_large"),
        507: problem("the disk is full", 507, "disk_full"),
        **CONFLICT,
    },
)  # fmt: skip
async def submit(request: Request) -> Response:
    """Accept a workflow. What is acknowledged is on disk.

    Blobs it refers to must be there (`PUT /v1/blobs/{sha256}`); those that are missing are listed in
    `fields.missing`.
    """
    status, headers, content = await accept(
        await shared_of(request),
        await request.body(),
        request.headers.get("idempotency-key"),
        await caller_of(request),
    )
    return Response(content, status, headers, "application/json")


async def accept(
    shared: Shared, raw: bytes, key: str | None, who: Identity
) -> tuple[int, dict[str, str], bytes]:
    """A submission, answered with (status, headers, body). Read by hand: it is the hot path of the API, and the framework's
    validation of a free JSON body costs more than the planner's own.
    """
    body = parse_submission(raw)
    check_tenant(who, body["workflow"].get("tenant", DEFAULT_TENANT))
    body.setdefault("values", {})
    body.setdefault("bundle", "")
    if missing := missing_blobs(shared, body):
        raise Invalid(
            f"{len(missing)} of the blobs it refers to are not here",
            hint="send them with PUT /v1/blobs/{sha256} first",
            missing=missing[:1000],
        )
    if key is not None and not 1 <= len(key) <= KEY_LIMIT:
        raise Invalid(f"Idempotency-Key must have 1 to {KEY_LIMIT} characters")
    shared.scheduler.admissible(body["workflow"])
    view = await shared.planner.submit({**body, "key": key, "by": who.name})
    return 200 if view.get("repeated") else 201, {"Location": f"/v1/runs/{view['id']}"}, to_json(view)


def to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@router.get("", summary="List runs", responses={200: example([RUN_EXAMPLE], "Newest first."), **MISSING})
async def runs(
    ports: Ports,
    who: Caller,
    state: Literal["running", "finished", "failed", "cancelled"] | None = None,
    limit: Limit = 100,
    after: Annotated[
        str | None, Query(description="Only runs older than this one: the last id of the page before.")
    ] = None,
    workflow: Annotated[
        str | None, Query(max_length=200, description="Only runs of the workflow of this name.")
    ] = None,
    version: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{1,64}$", description="Only of this version: the beginning of `bundle`."),
    ] = None,
) -> Response:
    found = await confined.runs(ports.planner, who, state, limit, after, workflow, version)
    return Response(to_json(found), media_type="application/json")


@router.get(
    "/{id}",
    summary="Look at a run, or wait for its end",
    responses={200: example(RUN_EXAMPLE, "The run."), **MISSING},
)
async def run(
    id: str,
    ports: Ports,
    wait: Annotated[
        float,
        Query(
            ge=0, le=MAX_WAIT, description="Answer when the run is over, at the latest after so many seconds."
        ),
    ] = 0,
) -> Response:
    return Response(
        to_json(await run_when_over(ports.planner, ports.hub, id, wait)), media_type="application/json"
    )


@router.post(
    "/{id}/cancel",
    summary="Cancel a run",
    responses={200: example(RUN_EXAMPLE, "The run."), **MISSING, **CONFLICT},
)
async def cancel(id: str, ports: Ports, by: Principal, body: CancelBody | None = None) -> dict[str, Any]:
    """What runs is asked to end, then made to. Cancelling a run that is over is refused."""
    return await ports.planner.cancel(id, body.reason if body else "", by)


@router.post(
    "/{id}/retry",
    summary="Run again what failed",
    responses={200: example(RUN_EXAMPLE, "The run."), **MISSING, **CONFLICT},
)
async def retry(id: str, ports: Ports, by: Principal) -> dict[str, Any]:
    """Tasks that failed, were cancelled or skipped run again, and what depends on them. Finished results are
    kept.
    """
    return await ports.planner.retry(id, by)


@router.get(
    "/{id}/events",
    summary="Watch a run",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: first `run` with the present view, then `task` and `run` as "
            "they change, `reset` "
            "to a reader that fell behind (fetch the tasks again), `end` with the last view.",
            "content": {
                "text/event-stream": {
                    "example": 'event: run\ndata: {"id": "train-7f3a9c", "state": "running"}\n\n'
                }
            },
        },
        **MISSING,
    },
)
async def events(id: str, ports: Ports) -> StreamingResponse:
    await ports.planner.run(id)  # refuse an unknown run before the stream begins
    return StreamingResponse(
        _events(ports, id), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _events(ports: Shared, id: str) -> AsyncIterator[bytes]:
    def wanted(change: dict[str, Any]) -> bool:
        return change.get("run") == id or (change.get("type") == "run" and change.get("id") == id)

    first = True
    async for change in changes_of(ports.hub, wanted, HEARTBEAT, first=True):
        if first or (change or {}).get("type") in ("reset", "run"):
            view = await ports.planner.run(id)
            if not first and change and change["type"] == "reset":
                yield sse("reset", {"type": "reset"})
            if view["state"] != "running":
                yield sse("end", view)
                return
            yield sse("run", view, (change or {}).get("n"))
            first = False
        elif change is None:
            yield b": still here\n\n"
        else:
            yield sse(change["type"], change, change.get("n"))


def sse(event: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event. JSON has no raw line ends, so one `data` line is enough."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
