"""Every route against every role, and tokens that are confined to a tenant."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from headway.service.identity import Identity
from headway.service.rights import NEEDS, NoRight, Role, Scope, check_role, need_of

from .fakes import Service
from .test_routes import client_of, problem, submission

#: Written by hand: the least role, and whether a token confined to a tenant gets anywhere on its own things.
EXPECTED = {
    "viewer": """
        GET /v1/runs  GET /v1/runs/{id}  GET /v1/runs/{id}/events  GET /v1/tasks  GET /v1/tasks/{run}/{name}
        GET /v1/tasks/{run}/{name}/why  GET /v1/tasks/{run}/{name}/logs  GET /v1/nodes  GET /v1/windows  GET /v1/policy
        HEAD /v1/blobs/{sha256}  GET /v1/blobs/{sha256}  GET /v1/version  GET /v1/health/live  GET /v1/health/ready
        GET /v1/stats  GET /v1/events  GET /v1/tenants  GET /v1/rates  GET /v1/pools  GET /v1/schedules  GET /v1/schedules/{name}
        GET /v1/overrides  GET /v1/agents  GET /v1/metrics  GET /v1/whoami""",
    "submitter": """
        POST /v1/runs  POST /v1/runs/{id}/cancel  POST /v1/runs/{id}/retry  POST /v1/tasks/{run}/{name}/cancel
        PUT /v1/blobs/{sha256}  PUT /v1/schedules/{name}  DELETE /v1/schedules/{name}  POST /v1/schedules/{name}/pause
        POST /v1/schedules/{name}/resume  POST /v1/schedules/{name}/backfill  DELETE /v1/schedules/{name}/backfill
        POST /v1/schedules/{name}/events
        POST /v1/runs/{id}/pause  POST /v1/runs/{id}/signals/{name}  POST /v1/tasks/{run}/{name}/approve
        POST /v1/runs/{id}/resume  PATCH /v1/runs/{id}  POST /v1/tasks/{run}/{name}/pause
        POST /v1/tasks/{run}/{name}/resume  PATCH /v1/tasks/{run}/{name}""",
    "operator": """
        POST /v1/windows  DELETE /v1/windows/{id}  POST /v1/overrides  DELETE /v1/overrides/{id}  PUT /v1/policy
        PUT /v1/tenants/{name}/quota  DELETE /v1/tenants/{name}/quota  PUT /v1/rates/{name}  DELETE /v1/rates/{name}
        PUT /v1/pools/{name}  DELETE /v1/pools/{name}""",
    "admin": """
        GET /v1/tokens  POST /v1/tokens  DELETE /v1/tokens/{name}  POST /v1/tokens/{name}/rotate  GET /v1/audit""",
}
LEAST = {
    route: role for role, text in EXPECTED.items() for route in re.split(r"\s{2,}", text.strip()) if route
}

PEOPLE = {
    "t-viewer": Identity("vera", Role.viewer),
    "t-submitter": Identity("sam", Role.submitter),
    "t-operator": Identity("olga", Role.operator),
    "t-admin": Identity("ada", Role.admin),
    "t-red": Identity("rita", Role.submitter, frozenset({"red"})),
    "t-red-viewer": Identity("ralf", Role.viewer, frozenset({"red"})),
}
STREAMS = ("/v1/events", "/v1/runs/{id}/events")


@pytest.fixture
def service(tmp_path: Path) -> Service:
    made = Service(tmp_path, tokens=PEOPLE)
    made.planner.add("r-red")
    made.planner.add("r-blue")
    made.planner.by_id["r-red"]["tenant"] = "red"
    made.planner.by_id["r-blue"]["tenant"] = "blue"
    return made


def openapi_routes(service: Service) -> set[str]:
    paths = service.app.api.openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def as_(service: Service, token: str) -> httpx.AsyncClient:
    return client_of(service, Authorization=f"Bearer {token}")


async def ask(http: httpx.AsyncClient, route: str, run: str = "r-red") -> httpx.Response:
    method, path = route.split()
    for name, value in {"{id}": run, "{run}": run, "{name}": "one", "{sha256}": "0" * 64}.items():
        path = path.replace(name, value)
    return await http.request(method, path, json={} if method in ("POST", "PUT", "PATCH") else None)


def test_every_route_says_what_it_needs(service: Service) -> None:
    """A new route without a line in `rights.NEEDS` fails here, and so does a line without a route."""
    assert openapi_routes(service) == set(NEEDS)
    for route, need in NEEDS.items():
        if need.scope is Scope.run:
            assert "{id}" in route or "{run}" in route, route


def test_the_table_is_the_one_written_by_hand() -> None:
    assert {route: need.role.name for route, need in NEEDS.items()} == LEAST


def test_a_route_that_says_nothing_is_an_administrators() -> None:
    assert need_of("POST", "/v1/new").role is Role.admin
    assert need_of("POST", "/v1/new").scope is Scope.everyone


@pytest.mark.parametrize("route", sorted(NEEDS))
@pytest.mark.parametrize("token", ["t-viewer", "t-submitter", "t-operator", "t-admin", "stolen", "made up"])
async def test_every_route_as_every_role(service: Service, route: str, token: str) -> None:
    """Refused before anything happens where the role is too low; else it reaches the route, which answers as it does. A stolen token
    was an administrator's, and is refused everywhere since it was taken back."""
    if token == "stolen":
        await service.tokens.admit("stolen", Identity("mallory"), "owner")
        await service.tokens.revoke("mallory", "owner")
    before = service.tokens.views()
    async with as_(service, token) as http:
        allowed = token in PEOPLE and PEOPLE[token].role >= NEEDS[route].role
        if allowed and route.split()[1] in STREAMS:
            return  # it would go on and on; `test_events` reads them
        answer = await ask(http, route)
    if token not in PEOPLE and not route.startswith("HEAD"):
        problem(answer, 401, "denied")
    elif token not in PEOPLE:
        assert answer.status_code == 401
    elif allowed:
        assert answer.status_code not in (401, 403), answer.text
    else:
        assert answer.status_code == 403
        assert answer.json().get("code") == "no_right" if answer.content else route.startswith("HEAD")
    if not allowed:
        assert service.planner.calls == service.planner.submitted == service.scheduler.calls == []
        assert [view["state"] for view in service.tokens.views()] == [view["state"] for view in before]


@pytest.mark.parametrize("route", sorted(r for r, need in NEEDS.items() if need.scope is Scope.run))
async def test_another_tenants_run_is_as_one_that_is_not_there(service: Service, route: str) -> None:
    async with as_(service, "t-red") as http:
        hidden, missing = await ask(http, route, "r-blue"), await ask(http, route, "r-none")
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace("r-blue", "r-none") == missing.text
    assert service.planner.calls == []


@pytest.mark.parametrize("route", sorted(r for r, need in NEEDS.items() if need.scope is Scope.everyone))
async def test_what_touches_every_tenant_is_refused_to_who_is_confined(service: Service, route: str) -> None:
    """Most want a role that cannot be confined; the views of all tenants would be a viewer's."""
    async with as_(service, "t-red") as http:
        answer = await ask(http, route)
    problem(answer, 403, "no_right")
    with pytest.raises(NoRight):
        check_role(Identity("x", Role.admin, frozenset({"red"})), NEEDS[route])
    assert service.scheduler.calls == []


async def test_a_schedule_of_another_tenant_is_as_one_that_is_not_there(service: Service) -> None:
    flow = {"workflow": {"name": "flow", "tasks": [], "tenant": "blue"}, "values": {}, "bundle": ""}
    body = {"schedule": {"every": "1h"}, **flow}
    async with as_(service, "t-submitter") as http:
        assert (await http.put("/v1/schedules/blue", json=body)).status_code == 200
    async with as_(service, "t-red") as http:
        assert (await http.get("/v1/schedules")).json() == []
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/resume"), ("POST", "/events")):
            hidden = await http.request(method, f"/v1/schedules/blue{path}")
            missing = await http.request(method, f"/v1/schedules/none{path}")
            assert hidden.status_code == missing.status_code == 404
            assert hidden.text.replace("blue", "none") == missing.text
        assert (await http.put("/v1/schedules/mine", json=body)).status_code == 403
        body["workflow"]["tenant"] = "red"
        assert (await http.put("/v1/schedules/blue", json=body)).status_code == 409
        assert (await http.put("/v1/schedules/mine", json=body)).status_code == 200
        body["workflow"]["tenant"] = ["red"]
        assert (await http.put("/v1/schedules/odd", json=body)).status_code == 403
    assert [entry.name for entry in service.planner.schedules.core] == ["blue", "mine"]


async def test_listings_hold_what_is_theirs(service: Service) -> None:
    async with as_(service, "t-red-viewer") as http:
        assert [view["id"] for view in (await http.get("/v1/runs")).json()] == ["r-red"]
        assert [view["id"] for view in (await http.get("/v1/tasks")).json()] == ["r-red/one"]
        assert (await http.get("/v1/runs", params={"after": "r-blue"})).status_code == 404
        assert (await http.get("/v1/tasks", params={"run": "r-blue"})).status_code == 404
        assert (await http.get("/v1/tasks", params={"offset": 1})).json() == []


async def test_windows_and_plan_rows_of_others_are_left_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [
        {"id": "m", "tenant": "", "run": ""},
        {"id": "red", "tenant": "red", "run": ""},
        {"id": "blue", "tenant": "blue", "run": ""},
        {"id": "run", "tenant": "", "run": "r-blue"},
    ]
    plan = {"id": "p", "rows": [{"task": "r-red/one"}, {"task": "r-blue/one"}]}
    monkeypatch.setattr(service.scheduler, "windows", lambda: views)
    monkeypatch.setattr(service.scheduler, "policy", lambda: {"order": "joint", "plan": plan})
    async with as_(service, "t-red-viewer") as http:
        assert [view["id"] for view in (await http.get("/v1/windows")).json()] == ["m", "red"]
        assert (await http.get("/v1/policy")).json()["plan"]["rows"] == [{"task": "r-red/one"}]


async def test_why_names_no_task_of_another_tenant(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    view = {
        "task": "r-red/one",
        "text": "behind r-blue/one[3] (srpt 4 < 5), r-red/two; reserved for run r-blue. 3 of 4 cpu",
        "ahead": [{"task": "r-blue/one", "key": 4}, {"task": "r-none/one", "key": 5}],
        "by": {"r-blue/one": 1.5},
    }

    async def why(task: str, at: int | None = None) -> dict[str, Any]:
        return view

    monkeypatch.setattr(service.scheduler, "why", why)
    async with as_(service, "t-red-viewer") as http:
        assert (await http.get("/v1/tasks/r-red/one/why")).json() == {
            "task": "r-red/one",
            "text": "behind another tenant's task (srpt 4 < 5), r-red/two; reserved for run another tenant's run. 3 of 4 cpu",
            "ahead": [{"task": "another tenant's task", "key": 4}, {"task": "r-none/one", "key": 5}],
            "by": {"another tenant's task": 1.5},
        }
    async with as_(service, "t-viewer") as http:
        assert (await http.get("/v1/tasks/r-red/one/why")).json() == view


async def test_one_submits_for_ones_own_tenants_only(service: Service) -> None:
    def of(tenant: str | None) -> dict[str, Any]:
        body = submission()
        if tenant:
            body["workflow"]["tenant"] = tenant
        return body

    async with as_(service, "t-red") as http:
        for tenant in ("blue", None):
            answer = await http.post("/v1/runs", json=of(tenant))
            assert (answer.status_code, answer.json()["code"]) == (403, "no_right")
            assert "tenant red" in answer.json()["detail"]
        assert service.planner.submitted == []
        assert (await http.post("/v1/runs", json=of("red"))).status_code == 201
    assert service.planner.submitted[0]["by"] == "rita"
    async with as_(service, "t-red") as http:
        assert (await http.post("/v1/runs/r-red/cancel", json={"reason": "mine"})).status_code == 200
    assert service.planner.calls == [("cancel", "r-red", "mine", "rita")]
