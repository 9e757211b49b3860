"""`/v1/nodes`: what there is to run on."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from headway.service.routes.models import COMMON, example
from headway.service.state import Ports

router = APIRouter(prefix="/nodes", tags=["nodes"], responses=COMMON)

NODE_EXAMPLE = {
    "node": "local",
    "cpu": 4000,
    "cpu_free": 1000,
    "memory": 8589934592,
    "memory_free": 8589934592,
    "gpus": 2,
    "gpus_free": [1000, 500],
    "other": {},
    "other_free": {},
    "labels": {"arch": "x86_64", "os": "linux"},
    "cordoned": False,
    "closing": False,
    "incarnation": "1795528530361254",
    "leases": 3,
    "tasks": 3,
    "claims": [],
}


@router.get(
    "",
    summary="List nodes",
    responses={200: example([NODE_EXAMPLE], "Amounts in milli-units, memory in bytes.")},
)
async def nodes(ports: Ports) -> Response:
    return JSONResponse(ports.scheduler.nodes())
