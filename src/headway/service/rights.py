"""Who may do what: one line for each route, and the check that every request passes before its route is called.

A route says here which role it needs and what of a tenant's it touches. One that says nothing is an administrator's alone, and a
test fails until it does. Roles are a ladder: each may do all that the one below it may.

A token may be confined to tenants. To it, what belongs to others does not exist: it is answered as an unknown name would be, since
"you may not" would tell that there is something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from headway.errors import Denied, NotFound

if TYPE_CHECKING:
    from headway.service.identity import Identity
    from headway.service.ports import PlannerPort


class Role(IntEnum):
    """What a token is for."""

    viewer = 1
    """Reads."""
    submitter = 2
    """Submits, and steers its own tenants' runs: cancel, retry, pause."""
    operator = 3
    """Steers the system: overrides, policy, windows, quotas, schedules of anybody."""
    admin = 4
    """Gives and takes rights, and changes the service itself: tokens, audit, configuration, backup."""


class Scope(Enum):
    """What a route shows or changes, where the token is confined to tenants."""

    run = "run"
    """One run or a task of it, named in the path by `{id}` or `{run}`: checked before the route is called."""
    schedule = "schedule"
    """One schedule, named in the path by `{name}`: likewise."""
    filtered = "filtered"
    """Things of several tenants: the route itself leaves out what is not the caller's."""
    system = "system"
    """Nothing that is one tenant's."""
    everyone = "everyone"
    """What cannot be told apart by tenant: refused to a token that is confined."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a route asks of its caller.

    Attributes:
        role: The least.
        scope: What of a tenant's it touches.
    """

    role: Role
    scope: Scope


PREFIX = "/v1"

_READ_RUN, _STEER_RUN = Need(Role.viewer, Scope.run), Need(Role.submitter, Scope.run)
_READ_SCHEDULE = Need(Role.viewer, Scope.schedule)
_STEER_SCHEDULE = Need(Role.submitter, Scope.schedule)
_READ_SOME, _READ_SYSTEM = Need(Role.viewer, Scope.filtered), Need(Role.viewer, Scope.system)
_STEER_ALL = Need(Role.operator, Scope.everyone)
_ADMIN = Need(Role.admin, Scope.everyone)
SUBMIT = Need(Role.submitter, Scope.filtered)

#: Every route of the API, one line each, as `METHOD path`.
NEEDS: Mapping[str, Need] = MappingProxyType(
    {
        "POST /v1/runs": SUBMIT,
        "GET /v1/runs": _READ_SOME,
        "GET /v1/runs/{id}": _READ_RUN,
        "POST /v1/runs/{id}/cancel": _STEER_RUN,
        "POST /v1/runs/{id}/retry": _STEER_RUN,
        "POST /v1/runs/{id}/pause": _STEER_RUN,
        "POST /v1/runs/{id}/resume": _STEER_RUN,
        "PATCH /v1/runs/{id}": _STEER_RUN,
        "POST /v1/runs/{id}/signals/{name}": _STEER_RUN,
        "GET /v1/runs/{id}/events": _READ_RUN,
        "GET /v1/tasks": _READ_SOME,
        "GET /v1/tasks/{run}/{name}": _READ_RUN,
        "GET /v1/tasks/{run}/{name}/why": _READ_RUN,
        "GET /v1/tasks/{run}/{name}/logs": _READ_RUN,
        "POST /v1/tasks/{run}/{name}/cancel": _STEER_RUN,
        "GET /v1/schedules": _READ_SOME,
        "PUT /v1/schedules/{name}": SUBMIT,
        "GET /v1/schedules/{name}": _READ_SCHEDULE,
        "DELETE /v1/schedules/{name}": _STEER_SCHEDULE,
        "POST /v1/schedules/{name}/pause": _STEER_SCHEDULE,
        "POST /v1/schedules/{name}/resume": _STEER_SCHEDULE,
        "POST /v1/schedules/{name}/backfill": _STEER_SCHEDULE,
        "DELETE /v1/schedules/{name}/backfill": _STEER_SCHEDULE,
        "POST /v1/schedules/{name}/events": _STEER_SCHEDULE,
        "POST /v1/tasks/{run}/{name}/approve": _STEER_RUN,
        "POST /v1/tasks/{run}/{name}/pause": _STEER_RUN,
        "POST /v1/tasks/{run}/{name}/resume": _STEER_RUN,
        "PATCH /v1/tasks/{run}/{name}": _STEER_RUN,
        "GET /v1/nodes": _READ_SYSTEM,
        "GET /v1/windows": _READ_SOME,
        "POST /v1/windows": _STEER_ALL,
        "DELETE /v1/windows/{id}": _STEER_ALL,
        "GET /v1/overrides": _READ_SOME,
        "GET /v1/agents": Need(Role.viewer, Scope.everyone),
        "POST /v1/overrides": _STEER_ALL,
        "DELETE /v1/overrides/{id}": _STEER_ALL,
        # What the tenants have and use stands in one view: who is confined to some of them does not get it.
        "GET /v1/tenants": Need(Role.viewer, Scope.everyone),
        "PUT /v1/tenants/{name}/quota": _STEER_ALL,
        "DELETE /v1/tenants/{name}/quota": _STEER_ALL,
        "GET /v1/rates": Need(Role.viewer, Scope.everyone),
        "PUT /v1/rates/{name}": _STEER_ALL,
        "DELETE /v1/rates/{name}": _STEER_ALL,
        "GET /v1/pools": Need(Role.viewer, Scope.everyone),
        "PUT /v1/pools/{name}": _STEER_ALL,
        "DELETE /v1/pools/{name}": _STEER_ALL,
        "GET /v1/policy": _READ_SOME,
        "PUT /v1/policy": _STEER_ALL,
        # The name of a blob is a secret as long as its content is: only who may read a view that names it can ask for it.
        "PUT /v1/blobs/{sha256}": Need(Role.submitter, Scope.system),
        "HEAD /v1/blobs/{sha256}": _READ_SYSTEM,
        "GET /v1/blobs/{sha256}": _READ_SYSTEM,
        "GET /v1/tokens": _ADMIN,
        "POST /v1/tokens": _ADMIN,
        "DELETE /v1/tokens/{name}": _ADMIN,
        "POST /v1/tokens/{name}/rotate": _ADMIN,
        "GET /v1/audit": _ADMIN,
        "GET /v1/whoami": _READ_SYSTEM,
        "GET /v1/version": _READ_SYSTEM,
        "GET /v1/health/live": _READ_SYSTEM,
        "GET /v1/health/ready": _READ_SYSTEM,
        "GET /v1/stats": _READ_SYSTEM,
        "GET /v1/metrics": Need(Role.viewer, Scope.everyone),
        "GET /v1/events": _READ_SOME,
    }
)


class NoRight(Denied):
    """The token is good, but not for this."""

    code = "no_right"
    status = 403


def need_of(method: str, path: str) -> Need:
    """What the route of this template needs; an undeclared one is an administrator's alone."""
    return NEEDS.get(f"{method} {path}", _ADMIN)


def check_role(who: Identity, need: Need) -> None:
    """Refuses a token whose role or confinement does not reach.

    Raises:
        NoRight: With what it would take.
    """
    if who.role < need.role:
        raise NoRight(
            f"{who.name} is {_article(who.role)}; this needs {_article(need.role)}",
            hint="ask an administrator for a token of that role",
            needs=need.role.name,
            role=who.role.name,
        )
    if who.tenants and need.scope is Scope.everyone:
        raise NoRight(
            f"{who.name} is confined to {_listed(who.tenants)}; this touches every tenant",
            hint="ask an administrator for a token that is not confined",
            tenants=sorted(who.tenants),
        )


def check_tenant(who: Identity, tenant: str) -> None:
    """Refuses to submit for a tenant that is not the token's.

    Raises:
        NoRight: With the tenants it may use.
    """
    if not who.sees(str(tenant)):  # what is no text is for the planner to refuse
        raise NoRight(
            f"{who.name} may not submit for tenant {tenant!r}, only for {_listed(who.tenants)}",
            hint=f'say @workflow(tenant="{min(who.tenants)}")',
            tenants=sorted(who.tenants),
        )


async def check_run(planner: PlannerPort, who: Identity, run: str) -> None:
    """Answers as if it did not exist when the run is another tenant's.

    Raises:
        NotFound: There is no such run, for this caller.
    """
    if not who.tenants:
        return
    try:
        seen = who.sees((await planner.run(run))["tenant"])
    except NotFound:
        seen = False
    if not seen:
        raise NotFound(f"there is no run {run!r}", hint="`headway runs` lists them")


def check_schedule(planner: PlannerPort, who: Identity, name: str) -> None:
    """The same for a schedule.

    Raises:
        NotFound: There is no such schedule, for this caller.
    """
    if who.tenants and not who.sees(planner.schedules.view(name)["tenant"]):
        raise NotFound(f"there is no schedule {name!r}", hint="`headway schedules` lists them")


def _article(role: Role) -> str:
    return f"an {role.name}" if role.name[0] in "aeiou" else f"a {role.name}"


def _listed(tenants: frozenset[str]) -> str:
    return ("tenant " if len(tenants) == 1 else "tenants ") + ", ".join(sorted(tenants))
