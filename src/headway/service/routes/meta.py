"""`/v1/health`, `/v1/version`, `/v1/stats`, `/v1/events`: the service about itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse

from headway import __version__
from headway.errors import Unavailable
from headway.service import confined
from headway.service.identity import Identity
from headway.service.routes.models import COMMON, example
from headway.service.routes.runs import HEARTBEAT, sse
from headway.service.state import Caller, Ports, Shared
from headway.service.stream import changes_of

router = APIRouter(tags=["service"], responses=COMMON)

API_VERSION = "v1"


def version_of() -> str:
    """The program's version."""
    return __version__


@router.get(
    "/version",
    summary="Version",
    responses={200: example({"headway": "0.1.0", "api": "v1"}, "Of the program and the API.")},
)
async def version() -> dict[str, str]:
    return {"headway": version_of(), "api": API_VERSION}


@router.get(
    "/health/live", summary="The process answers", responses={200: example({"status": "live"}, "It does.")}
)
async def live() -> dict[str, str]:
    return {"status": "live"}


@router.get(
    "/health/ready", summary="It takes work", responses={200: example({"status": "ready"}, "It does.")}
)
async def ready(ports: Ports) -> dict[str, Any]:
    """Both roles answer and the service is not stopping; else 503 says which does not."""
    if ports.stopping or ports.hub.closing:
        raise Unavailable("the service is stopping", hint="wait for the next `headway up`")
    for name, role in (("planner", ports.planner), ("scheduler", ports.scheduler)):
        state = role.stats()
        if not state.get("ready", True):
            raise Unavailable(
                f"the {name} is not ready yet: {state.get('waiting_for', 'it is reading its journal')}"
            )
    return {"status": "ready"}


@router.get(
    "/stats",
    summary="Counts of the roles",
    responses={200: example({"planner": {}, "scheduler": {}}, "As they keep them.")},
)
async def stats(ports: Ports) -> dict[str, Any]:
    return {"planner": ports.planner.stats(), "scheduler": ports.scheduler.stats()}


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "In Prometheus' text format; also at /metrics.",
            "content": {"text/plain": {"example": 'headway_tasks{state="running"} 3.0'}},
        }
    },
)
async def metrics(ports: Ports) -> Response:
    from headway.service.metrics import CONTENT_TYPE, exposition

    return Response(exposition(ports.planner, ports.scheduler), media_type=CONTENT_TYPE)


@router.get(
    "/events",
    summary="Watch everything",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Server-sent events: `task`, `run`, `reset`.",
            "content": {"text/event-stream": {}},
        }
    },
)
async def events(ports: Ports, who: Caller) -> StreamingResponse:
    return StreamingResponse(
        _events(ports, who), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _events(ports: Shared, who: Identity) -> AsyncIterator[bytes]:
    reach = confined.Reach(ports.planner, who)
    async for change in changes_of(ports.hub, lambda _: True, HEARTBEAT, first=True):
        if change and not await reach.of_change(change):
            continue
        yield sse(change["type"], change, change.get("n")) if change else b": still here\n\n"
