"""`/v1/overrides` and `/v1/policy`: what a person may change about who goes first. On the record, with an
end.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from headway.errors import Invalid
from headway.service import confined
from headway.service.routes.models import COMMON, CONFLICT, MISSING, OverrideBody, PolicyBody, example
from headway.service.state import Caller, Ports, Principal

router = APIRouter(tags=["overrides"], responses=COMMON)

OVERRIDE_EXAMPLE = {
    "id": "o-1",
    "kind": "boost",
    "target": "train-7f3a9c",
    "by": "owner",
    "reason": "the demo is at three",
    "expires": 1764003600000000,
}


AGENT_EXAMPLE = {
    "name": "scheduler",
    "autonomy": "act",
    "heard": 1764003600000000,
    "counts": {"applied": 3, "observed": 0, "refused": 1},
    "latest": [
        {
            "proposal": {
                "id": "a-3fa9c1d2",
                "agent": "agent-scheduler",
                "kind": "boost",
                "target": "train-7f3a9c/fit",
                "amount": 1,
                "ttl": 600000000,
                "reason": "has waited 300 s for 10 s of work, 30.0 times its length",
                "digest": 1764003598000000,
            },
            "at": 1764003600000000,
            "outcome": "applied",
            "why": "",
        }
    ],
}
PLAN_EXAMPLE = {
    "id": "p-7f3a9c01",
    "objective": "weighted_completion",
    "cost": 524000000000,
    "bound": 411593750000,
    "gap": 214515,
    "solver": "search",
    "rows": [
        {"rank": 1, "task": "train-7f3a9c/fit", "state": "queued", "node": "local", "start": 1764003600000000}
    ],
}


@router.post(
    "/overrides",
    status_code=201,
    summary="Override",
    responses={201: example(OVERRIDE_EXAMPLE, "In force."), **MISSING, **CONFLICT},
)
async def override(body: OverrideBody, ports: Ports, by: Principal, response: Response) -> dict[str, Any]:
    """Boost, hold or pin a task or a whole run. It expires by itself or is reverted."""
    if (body.kind == "pin") != bool(body.node):
        raise Invalid(
            "a pin needs 'node', and only a pin has one", hint='send {"kind": "pin", "node": "local", …}'
        )
    wanted = body.model_dump(exclude={"ttl"})
    wanted |= {"id": f"o-{secrets.token_hex(4)}", "by": by, "expires": time.time_ns() // 1000 + body.ttl}
    view = await ports.scheduler.override(wanted)
    response.headers["Location"] = f"/v1/overrides/{wanted['id']}"
    return view


@router.get(
    "/overrides",
    summary="List overrides",
    responses={200: example([OVERRIDE_EXAMPLE], "Those in force, in the order they were laid on.")},
)
async def overrides(ports: Ports, who: Caller) -> Response:
    return JSONResponse(await confined.overrides(ports.planner, who, ports.scheduler.overrides()))


@router.get(
    "/agents",
    summary="List agents",
    responses={200: example([AGENT_EXAMPLE], "What each may do, and what became of its proposals.")},
)
async def agents(ports: Ports) -> Response:
    return JSONResponse(ports.scheduler.agents())


@router.delete(
    "/overrides/{id}",
    summary="Revert an override",
    responses={200: example(OVERRIDE_EXAMPLE, "It has ended."), **MISSING},
)
async def revert(id: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.revert(id, by)


@router.get(
    "/policy",
    summary="The policy in force",
    responses={
        200: example(
            {"order": "joint", "discipline": "skip", "placement": "best_fit", "plan": PLAN_EXAMPLE},
            "With the plan that is followed, if the order is `joint` and there is one.",
        )
    },
)
async def policy_in_force(ports: Ports, who: Caller) -> dict[str, Any]:
    return await confined.policy(ports.planner, who, ports.scheduler.policy())


@router.put(
    "/policy",
    summary="Change the policy",
    responses={
        200: example(
            {"order": "priority > srpt", "discipline": "skip", "placement": "best_fit"},
            "In force from now on.",
        )
    },
)
async def policy(body: PolicyBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """Running tasks go on; the queue is ordered anew."""
    return await ports.scheduler.set_policy(body.order, body.discipline, body.placement, by)
