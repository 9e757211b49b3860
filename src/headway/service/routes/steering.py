"""Pause, resume and edit, of runs and of tasks."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from headway.service.routes.models import (
    COMMON,
    CONFLICT,
    MISSING,
    RUN_EXAMPLE,
    TASK_EXAMPLE,
    AnswerBody,
    EditBody,
    PauseBody,
    SignalBody,
    example,
)
from headway.service.state import Ports, Principal, Shared

router = APIRouter(responses=COMMON)

PAUSED = {
    "target": "train-7f3a9c",
    "by": "owner",
    "reason": "the data are being fixed",
    "at": 1764000002000000,
}
RUN: dict[int | str, dict[str, Any]] = {
    200: example(
        RUN_EXAMPLE | {"state": "running", "ended": None, "result": None, "paused": PAUSED}, "The run."
    ),
    **MISSING,
    **CONFLICT,
}
TASK: dict[int | str, dict[str, Any]] = {
    200: example(TASK_EXAMPLE, "The task; of all items of a map, their run."),
    **MISSING,
    **CONFLICT,
}


@router.post("/runs/{id}/pause", summary="Pause a run", tags=["runs"], responses=RUN)
async def pause_run(id: str, ports: Ports, by: Principal, body: PauseBody | None = None) -> dict[str, Any]:
    """Nothing of it starts until it is resumed; what runs runs on, or is ended with `stop`. Again it changes nothing."""
    return await _pause(ports, id, by, body)


@router.post("/runs/{id}/resume", summary="Resume a run", tags=["runs"], responses=RUN)
async def resume_run(id: str, ports: Ports, by: Principal) -> dict[str, Any]:
    """Tasks that were paused by themselves stay so."""
    return await ports.planner.resume(id, by)


@router.patch(
    "/runs/{id}", summary="Change priority, weight or deadline of a run", tags=["runs"], responses=RUN
)
async def edit_run(id: str, body: EditBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """Of all its tasks that have not ended, those to come included; a task that was changed by itself keeps that."""
    return await _edit(ports, id, by, body)


@router.post("/tasks/{run}/{name}/pause", summary="Pause a task", tags=["tasks"], responses=TASK)
async def pause_task(
    run: str, name: str, ports: Ports, by: Principal, body: PauseBody | None = None
) -> dict[str, Any]:
    """The name of a map pauses all its items."""
    return await _pause(ports, f"{run}/{name}", by, body)


@router.post("/tasks/{run}/{name}/resume", summary="Resume a task", tags=["tasks"], responses=TASK)
async def resume_task(run: str, name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    """One that is paused with its run, or with its map, is refused: resume that."""
    return await ports.planner.resume(f"{run}/{name}", by)


@router.patch(
    "/tasks/{run}/{name}",
    summary="Change priority, weight or deadline of a task",
    tags=["tasks"],
    responses=TASK,
)
async def edit_task(run: str, name: str, body: EditBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """The queue is ordered anew at once."""
    return await _edit(ports, f"{run}/{name}", by, body)


@router.post("/tasks/{run}/{name}/approve", summary="Answer an approval", tags=["tasks"], responses=TASK)
async def approve(run: str, name: str, body: AnswerBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """The same answer again changes nothing; another is refused."""
    return await ports.planner.approve(f"{run}/{name}", body.yes, body.reason, by)


@router.post("/runs/{id}/signals/{name}", summary="Give a signal to a run", tags=["runs"], responses=RUN)
async def signal(id: str, name: str, body: SignalBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """Tasks that wait for it finish with the value, and those that will wait for it."""
    return await ports.planner.signal(id, name, body.value, body.reason, by)


async def _pause(ports: Shared, target: str, by: str, body: PauseBody | None) -> dict[str, Any]:
    said = body or PauseBody()
    return await ports.planner.pause(target, said.reason, said.stop, by)


async def _edit(ports: Shared, target: str, by: str, body: EditBody) -> dict[str, Any]:
    changes = body.model_dump(exclude_none=True, exclude={"reason"})
    return await ports.planner.edit(target, changes, body.reason, by)
