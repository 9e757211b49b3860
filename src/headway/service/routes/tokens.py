"""`/v1/tokens`, `/v1/audit`, `/v1/whoami`: who may call, and what they did."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from headway.service.audit import Wanted
from headway.service.identity import Identity
from headway.service.rights import Role
from headway.service.routes.models import COMMON, CONFLICT, MISSING, Body, Limit, example
from headway.service.state import Caller, Ports, Principal

router = APIRouter(tags=["tokens"], responses=COMMON)

_DAY = 86_400_000_000
TOKEN_EXAMPLE = {
    "name": "vision-ci",
    "role": "submitter",
    "tenants": ["vision"],
    "state": "good",
    "made": 1764000000000000,
    "by": "owner",
    "expires": 1766592000000000,
    "used": 1764003600000000,
    "revoked": None,
    "revoked_by": "",
}
GIVEN_EXAMPLE = {**TOKEN_EXAMPLE, "used": None, "token": "hw_…"}
AUDIT_EXAMPLE = {
    "n": 118,
    "at": 1764003600000000,
    "principal": "vision-ci",
    "act": "POST /v1/runs/{id}/cancel",
    "object": "train-7f3a9c",
    "outcome": "done",
    "status": 200,
    "request": "9f86d081884c7d65",
}
WHOAMI_EXAMPLE = {"name": "vision-ci", "role": "submitter", "tenants": ["vision"]}
#: A token is in the answer: nobody between us and its reader keeps that.
_UNKEPT = {"Cache-Control": "no-store"}

When = Annotated[int, Query(ge=0, le=2**62, description="Microseconds since 1970.")]
Part = Annotated[str, Query(max_length=300, description="A part of it.")]


class TokenBody(Body):
    """Whom a token is for, and what it is good for."""

    name: str = Field(max_length=64, examples=["vision-ci"])
    role: Literal["viewer", "submitter", "operator", "admin"]
    tenants: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=100,
        description="Whose runs it may see and steer; empty for all. Only a viewer and a submitter can be confined.",
    )
    lasts: int | None = Field(
        default=None, ge=1_000_000, le=3650 * _DAY, description="Microseconds until it ends by itself."
    )


class RotateBody(Body):
    """How long the present token stays good beside the new one."""

    keep: int = Field(default=0, ge=0, le=30 * _DAY, description="Microseconds.")


@router.get(
    "/tokens",
    summary="List tokens",
    responses={200: example([TOKEN_EXAMPLE], "By name; those that were revoked or have expired too.")},
)
async def tokens(ports: Ports) -> Response:
    """Of a token itself there is nothing to list: only its hash is kept."""
    return JSONResponse(ports.tokens.views())


@router.post(
    "/tokens",
    status_code=201,
    summary="Give somebody a token",
    responses={201: example(GIVEN_EXAMPLE, "With the token, which is told this once."), **CONFLICT},
)
async def create(body: TokenBody, ports: Ports, by: Principal) -> Response:
    who = Identity(body.name, Role[body.role], frozenset(body.tenants))
    expires = time.time_ns() // 1000 + body.lasts if body.lasts is not None else 0
    view, token = await ports.tokens.create(who, by, expires)
    headers = {**_UNKEPT, "Location": f"/v1/tokens/{body.name}"}
    return JSONResponse({**view, "token": token}, 201, headers)


@router.delete(
    "/tokens/{name}",
    summary="Take a token back",
    responses={200: example(TOKEN_EXAMPLE, "It is refused from now on."), **MISSING, **CONFLICT},
)
async def revoke(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    """From the next request on; streams it has opened are cut within a second. Runs it submitted go on."""
    return await ports.tokens.revoke(name, by)


@router.post(
    "/tokens/{name}/rotate",
    summary="Replace a token",
    responses={200: example(GIVEN_EXAMPLE, "With the new token, told this once."), **MISSING, **CONFLICT},
)
async def rotate(name: str, ports: Ports, body: RotateBody | None = None) -> Response:
    """Name, role and tenants stay. The owner's new token is also written to its file in the state folder."""
    view, token = await ports.tokens.rotate(name, body.keep if body else 0)
    return JSONResponse({**view, "token": token}, headers=_UNKEPT)


@router.get(
    "/audit",
    summary="Who did what",
    responses={200: example([AUDIT_EXAMPLE], "Newest first.")},
)
async def audit(
    ports: Ports,
    principal: Annotated[str, Query(max_length=64, description="Under this name.")] = "",
    act: Part = "",
    object: Part = "",
    outcome: Literal["", "done", "denied", "refused", "failed"] = "",
    since: When = 0,
    until: When = 0,
    before: Annotated[int, Query(ge=0, le=2**62, description="Only those with a smaller `n`.")] = 0,
    limit: Limit = 100,
) -> Response:
    """Every request that changes something, whatever came of it, and uses of tokens that were taken back."""
    wanted = Wanted(principal, act, object, outcome, since, until, before)
    return JSONResponse(await asyncio.to_thread(ports.audit.rows, wanted, limit))


@router.get(
    "/whoami",
    summary="Whose token this is",
    responses={200: example(WHOAMI_EXAMPLE, "Name, role, and the tenants it is confined to.")},
)
async def whoami(who: Caller) -> dict[str, Any]:
    return {"name": who.name, "role": who.role.name, "tenants": sorted(who.tenants)}
