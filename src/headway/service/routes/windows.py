"""`/v1/windows`: times at which nodes are not for everybody."""

from __future__ import annotations

import secrets
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from headway.domain.resources import Demand
from headway.domain.window import ASSUMED
from headway.service import confined
from headway.service.routes.models import COMMON, CONFLICT, MISSING, Body, example
from headway.service.state import Caller, Ports, Principal

router = APIRouter(prefix="/windows", tags=["windows"], responses=COMMON)

WINDOW_EXAMPLE = {
    "id": "w-3fa9c1d2",
    "kind": "maintenance",
    "nodes": ["gpu-1"],
    "start": 1764039600000000,
    "end": 1764046800000000,
    "tenant": "",
    "run": "",
    "preempt": False,
    "assume": ASSUMED,
    "by": "owner",
    "reason": "new drivers",
}


class WantedBody(Body):
    """What each of the chosen nodes must have: milli-units, memory in bytes."""

    cpu: int = Field(default=0, ge=0)
    memory: int = Field(default=0, ge=0)
    gpu: int = Field(default=0, ge=0, multiple_of=1000)


class WindowBody(Body):
    """Nodes by name, or how many and how large; from a time to a time in microseconds since 1970."""

    id: str = Field(default="", max_length=100, pattern=r"^[\w.\-]*$", description="Chosen if empty.")
    kind: Literal["maintenance", "reservation"]
    nodes: list[str] = Field(default_factory=list, max_length=10_000)
    count: int = Field(default=0, ge=0, le=10_000, description="Any so many nodes that have what is wanted.")
    want: WantedBody | None = None
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    tenant: str = Field(default="", max_length=200, description="Whose a reservation is.")
    run: str = Field(default="", max_length=200, description="Or the run whose it is.")
    preempt: bool = Field(default=False, description="End what still runs there at the start.")
    assume: int = Field(
        default=ASSUMED, ge=0, description="How long a task of an unknown kind is taken to run."
    )
    reason: str = Field(default="", max_length=2000)


@router.get(
    "", summary="List windows", responses={200: example([WINDOW_EXAMPLE], "Those that are not over.")}
)
async def windows(ports: Ports, who: Caller) -> Response:
    return JSONResponse(await confined.windows(ports.planner, who, ports.scheduler.windows()))


@router.post(
    "",
    status_code=201,
    summary="Reserve nodes, or take them into maintenance",
    responses={201: example(WINDOW_EXAMPLE, "Set, with its nodes."), **MISSING, **CONFLICT},
)
async def set_window(body: WindowBody, ports: Ports, by: Principal, response: Response) -> dict[str, Any]:
    """Nothing is placed there any more that by its estimate would still run at the start; what cannot be kept is refused."""
    wanted = body.model_dump(exclude={"want"})
    demand = None
    if body.want is not None:
        made = Demand(body.want.cpu, body.want.memory, body.want.gpu)
        demand = {"cpu": made.cpu, "memory": made.memory, "gpu": made.gpu}
    wanted |= {"id": body.id or f"w-{secrets.token_hex(4)}", "by": by, "demand": demand}
    view = await ports.scheduler.set_window(wanted)
    response.headers["Location"] = f"/v1/windows/{wanted['id']}"
    return view


@router.delete(
    "/{id}", summary="End a window now", responses={200: example(WINDOW_EXAMPLE, "As it was."), **MISSING}
)
async def clear_window(id: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.clear_window(id, by)
