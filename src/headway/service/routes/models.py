"""Request bodies and the examples that the OpenAPI document shows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from headway.service.problems import MEDIA_TYPE

Limit = Annotated[int, Query(ge=1, le=10_000, description="At most so many.")]
Offset = Annotated[int, Query(ge=0, le=10**9, description="Skip so many.")]

RUN_EXAMPLE: dict[str, Any] = {
    "id": "train-7f3a9c",
    "name": "train",
    "tenant": "default",
    "bundle": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "state": "finished",
    "paused": None,
    "submitted": 1764000000000000,
    "ended": 1764000004200000,
    "counts": {"finished": 12},
    "result": {"ref": {"kind": "json", "data": 0.97, "size": 4, "text": "0.97"}},
    "error": None,
}
TASK_EXAMPLE: dict[str, Any] = {
    "id": "train-7f3a9c/fit[3]",
    "run": "train-7f3a9c",
    "name": "fit[3]",
    "state": "running",
    "attempt": 1,
    "attempts": [],
    "node": "local",
    "started": 1764000001000000,
    "ended": None,
    "took": None,
    "result": None,
    "error": None,
    "progress": 400,
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": "urn:headway:problem:not_found",
    "title": "Not Found",
    "status": 404,
    "detail": "there is no run 'train-000000'",
    "instance": "/v1/runs/train-000000",
    "code": "not_found",
}
SUBMIT_EXAMPLE: dict[str, Any] = {
    "run": "train-7f3a9c",
    "workflow": {
        "name": "hello",
        "tasks": [{"name": "greet", "function": "hello:greet", "args": [{"value": "v0"}]}],
        "result": {"output": "greet"},
    },
    "values": {"v0": {"kind": "json", "data": "world"}},
    "bundle": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


def example(value: Any, description: str) -> dict[str, Any]:
    """An OpenAPI response with an example."""
    return {
        "description": description,
        "content": {"application/json": {"schema": {"type": "object"}, "example": value}},
    }


def problem(description: str, status: int, code: str) -> dict[str, Any]:
    """An OpenAPI response that is a problem document."""
    shown = PROBLEM_EXAMPLE | {
        "status": status,
        "code": code,
        "type": f"urn:headway:problem:{code}",
        "detail": description,
    }
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": shown}},
    }


COMMON: dict[int | str, dict[str, Any]] = {
    400: problem("the body or the request line is not what HTTP or JSON has it", 400, "malformed"),
    401: problem("no token, or a wrong one", 401, "denied"),
    403: problem(
        "called under a foreign name or from a foreign page, or by a token without the right",
        403,
        "forbidden",
    ),
    422: problem("a parameter or the body is not acceptable", 422, "invalid"),
    503: problem("not possible now; try again", 503, "unavailable"),
}
MISSING: dict[int | str, dict[str, Any]] = {404: problem("there is no such thing", 404, "not_found")}
CONFLICT: dict[int | str, dict[str, Any]] = {
    409: problem("the present state does not allow it", 409, "conflict")
}


class Body(BaseModel):
    """Unknown fields are refused: a typo must not be silently ignored."""

    model_config = ConfigDict(extra="forbid")


class CancelBody(Body):
    """Why something is cancelled, in words."""

    reason: str = Field(default="", max_length=2000, examples=["wrong data set"])


class PauseBody(Body):
    """Why, and whether what runs is ended."""

    reason: str = Field(default="", max_length=2000, examples=["the data are being fixed"])
    stop: bool = Field(
        default=False, description="Ask what runs to checkpoint and end; else it runs to its end."
    )


class AnswerBody(Body):
    """Yes or no, and why."""

    yes: bool = Field(strict=True)
    reason: str = Field(default="", max_length=2000, examples=["the numbers look right"])


class SignalBody(Body):
    """A signal's value, and why."""

    value: Any = Field(default=None, description="Any JSON.", examples=[{"version": 3}])
    reason: str = Field(default="", max_length=2000)


class EditBody(Body):
    """What changes; what is left out stays."""

    priority: int | None = Field(default=None, ge=-1_000_000, le=1_000_000)
    weight: int | None = Field(default=None, ge=1, le=10**12, description="In thousandths.")
    deadline: int | None = Field(default=None, ge=0, le=2**62, description="Microseconds since 1970.")
    reason: str = Field(default="", max_length=2000)


class PolicyBody(Body):
    """Who goes first from now on."""

    order: str = Field(min_length=1, max_length=200, examples=["priority > srpt"])
    discipline: Literal["strict", "skip", "backfill", "easy"] = "skip"
    placement: str = Field(
        default="",
        max_length=200,
        description="Which of the nodes with room is best; empty leaves it as it is.",
        examples=["best_fit"],
    )


class OverrideBody(Body):
    """A change laid over the algorithm's decision."""

    kind: Literal["boost", "hold", "pin"]
    target: str = Field(
        min_length=1,
        max_length=500,
        description="A task, or a run for all its tasks.",
        examples=["train-7f3a9c"],
    )
    reason: str = Field(min_length=1, max_length=2000, examples=["the demo is at three"])
    ttl: int = Field(
        default=3_600_000_000,
        ge=1_000_000,
        le=30 * 86_400_000_000,
        description="Microseconds until it ends by itself.",
    )
    amount: int = Field(default=1, ge=1, le=1_000_000, description="Of a boost: how far.")
    node: str = Field(default="", max_length=200, description="Of a pin: where.")
