"""`/v1/tenants` and `/v1/rates`: who may hold how much, and what may be taken of in a time."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from headway.service.routes.models import COMMON, MISSING, Body, example
from headway.service.state import Ports, Principal

router = APIRouter(tags=["tenants"], responses=COMMON)

TENANT_EXAMPLE = {
    "tenant": "vision",
    "used": {"cpu": 6000, "gpu": 6000},
    "running": 6,
    "waiting": 3,
    "quota": {"gpu": 4000},
    "borrow": {"gpu": 2000},
    "lend": {},
    "cohort": "research",
    "reclaim": "any",
    "borrowed": {"gpu": 2000},
    "lent": {},
    "shut": 3,
}
RATE_EXAMPLE = {
    "rate": "gpt-tokens",
    "tenant": "",
    "amount": 90000000,
    "per": 60000000,
    "used": 42000000,
    "waiting": 0,
}

Amount = int | float | str


class QuotaBody(Body):
    """As in `[tenants.NAME]` of `headway.toml`."""

    quota: dict[str, Amount] = Field(default_factory=dict, examples=[{"gpu": 4, "memory": "64GiB"}])
    borrow: dict[str, Amount] = Field(default_factory=dict)
    lend: dict[str, Amount] = Field(default_factory=dict)
    cohort: str = Field(default="", max_length=200)
    reclaim: Literal["never", "lower_priority", "any"] = "any"


class RateBody(Body):
    """As in `[rates.NAME]` of `headway.toml`."""

    amount: Amount = Field(examples=[90000])
    per: Amount = Field(default="1min", examples=["1min"])
    tenants: dict[str, Amount] = Field(default_factory=dict)


@router.get(
    "/tenants",
    summary="List tenants",
    responses={
        200: example(
            [TENANT_EXAMPLE],
            "Milli-units; memory and disk in bytes, network in bits a second. Limits only where there are.",
        )
    },
)
async def tenants(ports: Ports) -> Response:
    return JSONResponse(ports.scheduler.tenants())


@router.put(
    "/tenants/{name}/quota",
    summary="Set a tenant's quota",
    responses={200: example(TENANT_EXAMPLE, "In force from now on.")},
)
async def set_quota(name: str, body: QuotaBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """What the tenant holds already, it keeps."""
    return await ports.scheduler.set_quota(name, body.model_dump(), by)


@router.delete(
    "/tenants/{name}/quota",
    summary="Lift a tenant's quota",
    responses={200: example(TENANT_EXAMPLE, "It is not limited any more."), **MISSING},
)
async def lift_quota(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.set_quota(name, None, by)


@router.get(
    "/rates", summary="List rates", responses={200: example([RATE_EXAMPLE], "Milli-units, microseconds.")}
)
async def rates(ports: Ports) -> Response:
    return JSONResponse(ports.scheduler.rates())


@router.put(
    "/rates/{name}", summary="Set a rate", responses={200: example(RATE_EXAMPLE, "In force from now on.")}
)
async def set_rate(name: str, body: RateBody, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.set_rate(name, body.model_dump(), by)


@router.delete(
    "/rates/{name}", summary="Lift a rate", responses={200: example(RATE_EXAMPLE, "As it was."), **MISSING}
)
async def lift_rate(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.set_rate(name, None, by)
