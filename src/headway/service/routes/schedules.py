"""`/v1/schedules`: workflows that run by themselves, their past, and the events they wait for."""

from __future__ import annotations

import json
import secrets
import time
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from headway.core.runs.schedules import EVENT_LIMIT, PARALLEL, Entry
from headway.domain.schedule import MOST, check_name, read_schedule
from headway.errors import Conflict, Invalid
from headway.service.problems import Malformed
from headway.service.rights import check_tenant
from headway.service.routes.models import (
    COMMON,
    CONFLICT,
    MISSING,
    SUBMIT_EXAMPLE,
    Body,
    example,
    problem,
)
from headway.service.routes.runs import DEFAULT_TENANT, KEY_LIMIT, missing_blobs
from headway.service.state import Caller, Ports, Principal
from headway.service.timetable import Timetable
from headway.service.uploads import SHA256

router = APIRouter(prefix="/schedules", tags=["schedules"], responses=COMMON)

SCHEDULE_EXAMPLE: dict[str, Any] = {
    "name": "nightly",
    "schedule": {"cron": "30 5 * * mon-fri", "zone": "Europe/Berlin"},
    "text": "30 5 * * mon-fri (Europe/Berlin)",
    "workflow": "train",
    "tenant": "default",
    "version": 1,
    "paused": None,
    "last_run": "nightly-20261124T043000Z",
    "fired": 12,
    "skipped": 0,
    "missed": 0,
    "backfill": None,
    "next": [1764131400000000],
    "next_text": ["2025-11-26T05:30:00+01:00"],
}
EVENT_EXAMPLE = {"run": "ingest-e3b0c44298fc", "repeated": False}


class ScheduleBody(Body):
    """When, and what: a submission without the id of a run."""

    schedule: dict[str, Any] = Field(
        description="One of cron (with zone), every, file, http, mqtt; and catchup, overlap, limit.",
        examples=[{"cron": "30 5 * * mon-fri", "zone": "Europe/Berlin"}],
    )
    workflow: dict[str, Any] = Field(examples=[SUBMIT_EXAMPLE["workflow"]])
    values: dict[str, Any] = Field(default_factory=dict, examples=[SUBMIT_EXAMPLE["values"]])
    bundle: str = Field(default="", examples=[SUBMIT_EXAMPLE["bundle"]])


class ReasonBody(Body):
    """Why, in words."""

    reason: str = Field(default="", max_length=2000, examples=["the source moves to another host"])


class BackfillBody(Body):
    """A span of the past in microseconds since 1970: `start` is in it, `end` is not."""

    start: int = Field(ge=0, lt=2**53)
    end: int = Field(ge=0, lt=2**53)
    parallel: int = Field(default=1, ge=1, le=PARALLEL, description="Runs at a time.")
    limit: int = Field(default=1000, ge=1, le=MOST, description="Refused if there are more times than this.")


Count = Annotated[int, Query(ge=0, le=1000, description="How many of its next times.")]


@router.get("", summary="List schedules", responses={200: example([SCHEDULE_EXAMPLE], "All of them.")})
async def schedules(ports: Ports, who: Caller) -> Response:
    of = ports.planner.schedules
    seen = [view for view in of.views() if who.sees(view["tenant"])]
    return JSONResponse([_with_next(view, of.entry(view["name"]), 1) for view in seen])


@router.put(
    "/{name}",
    summary="Register a workflow to run by itself",
    responses={
        200: example(SCHEDULE_EXAMPLE, "Registered; the same name again is a new version."),
        **CONFLICT,
    },
)
async def put(name: str, body: ScheduleBody, ports: Ports, who: Caller) -> dict[str, Any]:
    """The blobs that the workflow refers to must be there (`PUT /v1/blobs/{sha256}`)."""
    check_name(name)
    check_tenant(who, body.workflow.get("tenant", DEFAULT_TENANT))
    if any(view["name"] == name and not who.sees(view["tenant"]) for view in ports.planner.schedules.views()):
        raise Conflict(f"the name {name} is taken", hint="choose another")
    schedule = read_schedule(body.schedule)
    if schedule.timed:
        Timetable(schedule, 0)
    if body.bundle and not SHA256.match(body.bundle):
        raise Invalid("field 'bundle' is not a SHA-256")
    submission = {"workflow": body.workflow, "values": body.values, "bundle": body.bundle}
    if missing := missing_blobs(ports, submission):
        raise Invalid(
            f"{len(missing)} of the blobs it refers to are not here",
            hint="send them with PUT /v1/blobs/{sha256} first",
            missing=missing[:1000],
        )
    ports.scheduler.admissible(body.workflow)
    view = await ports.planner.schedules.put(name, body.schedule, submission, who.name)
    return _with_next(view, ports.planner.schedules.entry(name), 1)


@router.get(
    "/{name}", summary="Look at a schedule", responses={200: example(SCHEDULE_EXAMPLE, "It."), **MISSING}
)
async def schedule(name: str, ports: Ports, count: Count = 5) -> dict[str, Any]:
    of = ports.planner.schedules
    return _with_next(of.view(name), of.entry(name), count)


@router.delete(
    "/{name}",
    summary="Forget a schedule",
    responses={200: example(SCHEDULE_EXAMPLE, "As it was; its runs go on."), **MISSING},
)
async def remove(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.planner.schedules.remove(name, by)


@router.post(
    "/{name}/pause",
    summary="Start nothing more of it",
    responses={200: example(SCHEDULE_EXAMPLE, "Paused."), **MISSING},
)
async def pause(name: str, body: ReasonBody, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.planner.schedules.pause(name, body.reason, by)


@router.post(
    "/{name}/resume",
    summary="Go on with its next time",
    responses={
        200: example(SCHEDULE_EXAMPLE, "Resumed; what passed meanwhile is for a backfill."),
        **MISSING,
    },
)
async def resume(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    view = await ports.planner.schedules.resume(name, by)
    return _with_next(view, ports.planner.schedules.entry(name), 1)


@router.post(
    "/{name}/backfill",
    summary="Run past intervals",
    responses={
        200: example(SCHEDULE_EXAMPLE | {"known": 3}, "Under way; `known` intervals had run before."),
        **MISSING,
        **CONFLICT,
    },
)
async def backfill(name: str, body: BackfillBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """One run for each time of the schedule in the span that has none yet, oldest first."""
    of = ports.planner.schedules
    entry = of.entry(name)
    if not entry.schedule.timed:
        raise Invalid(f"schedule {name} runs on events, so it has no past intervals")
    end = min(body.end, time.time_ns() // 1000)
    if body.start >= end:
        raise Invalid("the span is empty, or still to come", hint="give a start before the end, in the past")
    table = Timetable(entry.schedule, entry.created)
    rows = [table.row(due) for due in table.between(body.start, end, body.limit)]
    return await of.backfill(name, rows, body.parallel, by)


@router.delete(
    "/{name}/backfill",
    summary="Start no more of a backfill",
    responses={200: example(SCHEDULE_EXAMPLE, "What runs of it goes on."), **MISSING, **CONFLICT},
)
async def cancel_backfill(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.planner.schedules.cancel_backfill(name, by)


@router.post(
    "/{name}/events",
    status_code=201,
    summary="Say that what it waits for has happened",
    openapi_extra={
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": KEY_LIMIT},
                "description": "The same key again is the same event.",
            }
        ],
        "requestBody": {
            "content": {"application/json": {"schema": {}, "example": {"path": "s3://new/file"}}}
        },
    },
    responses={
        200: example(EVENT_EXAMPLE | {"repeated": True}, "The key is known: the run it started."),
        201: example(EVENT_EXAMPLE, "The run that it starts."),
        413: problem("the body is too large", 413, "too_large"),
        **MISSING,
        **CONFLICT,
    },
)
async def event(name: str, request: Request, ports: Ports) -> Response:
    """The body is any JSON; the workflow takes it as its parameter `event`."""
    entry = ports.planner.schedules.entry(name)
    if not entry.schedule.http:
        raise Invalid(f"schedule {name} does not run on HTTP events but by {entry.schedule}")
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= KEY_LIMIT:
        raise Invalid(f"Idempotency-Key must have 1 to {KEY_LIMIT} characters")
    payload = _payload(await request.body())
    found = await ports.planner.schedules.event(name, key or secrets.token_hex(16), payload)
    return JSONResponse(found, 200 if found["repeated"] else 201)


def _payload(raw: bytes) -> Any:
    """The body as JSON; nothing at all is None."""
    if len(raw) > EVENT_LIMIT:
        raise Invalid(f"the event has {len(raw):,} bytes, more than {EVENT_LIMIT:,}", hint="send its address")
    try:
        payload = json.loads(raw, parse_constant=_no_constant) if raw else None
        json.dumps(payload, ensure_ascii=False).encode()  # half of a surrogate pair could never be stored
    except RecursionError:
        raise Malformed("the body is nested too deeply") from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    return payload


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _with_next(view: dict[str, Any], entry: Entry, count: int) -> dict[str, Any]:
    """With the times at which it comes next."""
    if not entry.schedule.timed or entry.paused is not None:
        return {**view, "next": [], "next_text": []}
    table = Timetable(entry.schedule, entry.created)
    after = max(entry.last, time.time_ns() // 1000)
    times = list(islice(table.after(after), count))
    return {**view, "next": times, "next_text": [table.text(due) for due in times]}
