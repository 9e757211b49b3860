"""What the routes share, and how they get at it. Coroutines: a plain function would hop through a thread at each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from headway.service.audit import Audit
from headway.service.identity import Identity
from headway.service.ports import BlobsPort, PlannerPort, SchedulerPort
from headway.service.rights import PREFIX, Scope, check_role, check_run, check_schedule, need_of
from headway.service.stream import Hub
from headway.service.tokens import Tokens
from headway.settings import Settings


@dataclass(slots=True)
class Shared:
    """The ports and the settings. `stopping` says so to `health/ready` and ends the streams."""

    planner: PlannerPort
    scheduler: SchedulerPort
    blobs: BlobsPort
    settings: Settings
    hub: Hub
    tokens: Tokens
    audit: Audit
    stopping: bool = False


async def shared_of(request: Request) -> Shared:
    """The app's shared part."""
    found: Shared = request.app.state.shared
    return found


async def principal_of(request: Request) -> str:
    """Who calls: the gate has put it there."""
    who: str = request.scope["principal"]
    return who


async def caller_of(request: Request) -> Identity:
    """Who calls, with role and tenants."""
    who: Identity = request.scope["identity"]
    return who


async def allowed(request: Request) -> None:
    """Lets a request on to its route only if `rights.NEEDS` grants that route to its caller.

    Raises:
        NoRight: The role is too low, or the token is confined and the route is not.
        NotFound: The run or schedule in the path is another tenant's, or nobody's.
    """
    who, route = request.scope["identity"], request.scope["route"]
    # A route knows the prefix of its own router, and of the outer one only in some versions of the framework.
    need = need_of(request.method, PREFIX + route.path.removeprefix(PREFIX))
    check_role(who, need)
    if who.tenants and need.scope is Scope.run:
        run = request.path_params.get("run") or request.path_params["id"]
        await check_run(request.app.state.shared.planner, who, run)
    if need.scope is Scope.schedule:
        check_schedule(request.app.state.shared.planner, who, request.path_params["name"])


Ports = Annotated[Shared, Depends(shared_of)]
Principal = Annotated[str, Depends(principal_of)]
Caller = Annotated[Identity, Depends(caller_of)]
