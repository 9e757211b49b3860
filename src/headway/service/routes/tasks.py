"""`/v1/tasks`: list, look, why, logs, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse

from headway.service import confined, logs
from headway.service.routes.models import (
    COMMON,
    CONFLICT,
    MISSING,
    TASK_EXAMPLE,
    CancelBody,
    Limit,
    Offset,
    example,
)
from headway.service.state import Caller, Ports, Principal

router = APIRouter(prefix="/tasks", tags=["tasks"], responses=COMMON)

WHY_EXAMPLE = {
    "task": "train-7f3a9c/fit[3]",
    "state": "queued",
    "text": "waits for cpu: asked 2, the freest node has 1 of 4",
}


@router.get(
    "",
    summary="List tasks",
    responses={200: example([TASK_EXAMPLE], "In the order of their run's graph."), **MISSING},
)
async def tasks(
    ports: Ports,
    who: Caller,
    run: str | None = None,
    state: Literal[
        "waiting", "queued", "running", "finished", "failed", "cancelled", "skipped", "unknown", "cached"
    ]
    | None = None,
    limit: Limit = 1000,
    offset: Offset = 0,
) -> Response:
    return JSONResponse(await confined.tasks(ports.planner, who, run, state, limit, offset))


@router.get(
    "/{run}/{name}", summary="Look at a task", responses={200: example(TASK_EXAMPLE, "The task."), **MISSING}
)
async def task(run: str, name: str, ports: Ports) -> Response:
    return JSONResponse(await ports.planner.task(f"{run}/{name}"))


@router.get(
    "/{run}/{name}/why",
    summary="Why it runs where it runs, or waits",
    responses={200: example(WHY_EXAMPLE, "The reason."), **MISSING},
)
async def why(
    run: str,
    name: str,
    ports: Ports,
    who: Caller,
    at: Annotated[
        int | None, Query(ge=0, description="As of then: microseconds since the epoch, from the journal.")
    ] = None,
) -> Response:
    """For a task that waits, `predicted` tells when it should start, and what would start it sooner; or it has
    `unavailable`, and says why no prediction can be had right now.
    """
    view = await ports.scheduler.why(f"{run}/{name}", at)
    return JSONResponse(await confined.why(ports.planner, who, view))


@router.post(
    "/{run}/{name}/cancel",
    summary="Cancel a task",
    responses={200: example(TASK_EXAMPLE, "The task."), **MISSING, **CONFLICT},
)
async def cancel(
    run: str, name: str, ports: Ports, by: Principal, body: CancelBody | None = None
) -> dict[str, Any]:
    """What depends on it is skipped; the rest of the run goes on."""
    return await ports.planner.cancel(f"{run}/{name}", body.reason if body else "", by)


@router.get(
    "/{run}/{name}/logs",
    summary="What it printed",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The text of all attempts, in order.",
            "content": {"text/plain": {"example": "epoch 1: loss 0.3\n"}},
        },
        **MISSING,
    },
)
async def log(
    run: str,
    name: str,
    ports: Ports,
    follow: Annotated[bool, Query(description="Go on until the task is over.")] = False,
    tail: Annotated[
        int | None, Query(ge=0, le=10**9, description="Begin so many bytes before the end.")
    ] = None,
) -> StreamingResponse:
    await ports.planner.task(f"{run}/{name}")
    text: AsyncIterator[bytes] = logs.read(ports, run, name, follow=follow, tail=tail)
    return StreamingResponse(
        text, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )
