"""The planner's calls about schedules, and the runs that follow from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headway.core.runs.schedules import Schedules, view
from headway.domain.codec import ref_from_json, validate_workflow, workflow_from_json
from headway.errors import HeadwayError


def _put(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    submission = body["submission"]
    values = {name: ref_from_json(ref) for name, ref in submission["values"].items()}
    validate_workflow(workflow_from_json(submission["workflow"]), values)
    return view(schedules.put(body["name"], body["schedule"], submission, body["by"], now))


def _remove(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return view(schedules.remove(body["name"]))


def _pause(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return view(schedules.pause(body["name"], body["by"], body["reason"], now))


def _resume(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return view(schedules.resume(body["name"], now))


def _backfill(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return view(schedules.backfill(body["name"], body["rows"], body["parallel"], body["by"]))


def _cancel_backfill(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return view(schedules.cancel_backfill(body["name"]))


def _fire(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return schedules.fire(body["name"], body["version"], body["upto"], body["rows"], body["missed"])


def _event(schedules: Schedules, body: dict[str, Any], now: int) -> dict[str, Any]:
    return {"run": schedules.event(body["name"], body["key"], body["payload"])}


CALLS: dict[str, Callable[[Schedules, dict[str, Any], int], dict[str, Any]]] = {
    "schedule": _put,
    "schedule_remove": _remove,
    "schedule_pause": _pause,
    "schedule_resume": _resume,
    "schedule_backfill": _backfill,
    "schedule_cancel_backfill": _cancel_backfill,
    "schedule_fire": _fire,
    "schedule_event": _event,
}


def start_due(
    schedules: Schedules, alive: Callable[[str], bool], known: Callable[[str], bool], submit: Any
) -> None:
    """Submit what is due. One that is known already has been started before; one that is refused is noted.

    Args:
        alive: Whether a run is not over.
        known: Whether there is a run of this id in memory.
        submit: Takes the body of a submission.
    """
    for start in schedules.due(alive):
        if known(start.run):
            continue
        try:
            submit({"run": start.run, "key": None, **start.submission})
        except HeadwayError as error:
            schedules.failed(start, error)
