"""What the routes share, and how they get at it. Coroutines: a plain function would hop through a thread at each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from headway.service.ports import BlobsPort, PlannerPort, SchedulerPort
from headway.service.stream import Hub
from headway.settings import Settings


@dataclass(slots=True)
class Shared:
    """The ports and the settings. `stopping` says so to `health/ready` and ends the streams."""

    planner: PlannerPort
    scheduler: SchedulerPort
    blobs: BlobsPort
    settings: Settings
    hub: Hub
    stopping: bool = False


async def shared_of(request: Request) -> Shared:
    """The app's shared part."""
    found: Shared = request.app.state.shared
    return found


async def principal_of(request: Request) -> str:
    """Who calls: the gate has put it there."""
    who: str = request.scope["principal"]
    return who


Ports = Annotated[Shared, Depends(shared_of)]
Principal = Annotated[str, Depends(principal_of)]
