"""`/v1/tenants`, `/v1/rates`, `/v1/pools`: who may hold how much, what may be taken of in a time, what all share."""

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

POOL_EXAMPLE = {"pool": "db", "slots": 4000, "used": 4000, "waiting": 12}

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


class PoolBody(Body):
    """As in `[pools.NAME]` of `headway.toml`."""

    slots: int = Field(ge=0, le=1_000_000, strict=True, examples=[4])


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


@router.get("/pools", summary="List pools", responses={200: example([POOL_EXAMPLE], "In milli-slots.")})
async def pools(ports: Ports) -> Response:
    return JSONResponse(ports.scheduler.pools())


@router.put(
    "/pools/{name}", summary="Set a pool", responses={200: example(POOL_EXAMPLE, "In force from now on.")}
)
async def set_pool(name: str, body: PoolBody, ports: Ports, by: Principal) -> dict[str, Any]:
    """Who holds a slot already, keeps it."""
    return await ports.scheduler.set_pool(name, body.slots, by)


@router.delete(
    "/pools/{name}", summary="Lift a pool", responses={200: example(POOL_EXAMPLE, "As it was."), **MISSING}
)
async def lift_pool(name: str, ports: Ports, by: Principal) -> dict[str, Any]:
    return await ports.scheduler.set_pool(name, None, by)
