"""The HTTP application: routes under `/v1` behind the gate, every error a problem document."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from headway.errors import HeadwayError, Invalid
from headway.service import problems
from headway.service.audit import Audit
from headway.service.express import Express
from headway.service.gate import BodyTooLarge, Gate, too_large
from headway.service.ports import BlobsPort, PlannerPort, SchedulerPort
from headway.service.probes import Probes
from headway.service.problems import Malformed, NoRoute, WrongMethod
from headway.service.rights import PREFIX
from headway.service.routes import blobs as blob_routes
from headway.service.routes import meta, nodes, overrides, runs, schedules, steering, tasks, tenants, windows
from headway.service.routes import tokens as token_routes
from headway.service.state import Shared, allowed
from headway.service.stream import Hub
from headway.service.tokens import Tokens
from headway.settings import Settings

DESCRIPTION = """Submit workflows, watch them, ask why.
Every request carries `Authorization: Bearer <token>`; the owner's token is in `<state folder>/token`.
Every error is a problem document (RFC 9457) with a stable `code`.
Times are microseconds since the epoch, amounts of resources milli-units, memory bytes."""


class App:
    """The ASGI application, and the handle by which its process stops it.

    Attributes:
        api: The FastAPI application behind the gate.
        shared: What the routes share.
    """

    def __init__(self, api: FastAPI, gate: Gate, shared: Shared, probes: Probes) -> None:
        self.api = api
        self.shared = shared
        self._gate, self._probes = gate, probes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate(scope, receive, send)

    async def stop(self) -> None:
        """Take no more work and end the streams, so that the server can drain."""
        self.shared.stopping = self._probes.stopping = True
        await self.shared.hub.close()


def make_app(
    planner: PlannerPort,
    scheduler: SchedulerPort,
    blobs: BlobsPort,
    settings: Settings,
    tokens: Tokens,
    audit: Audit,
) -> App:
    """Put the routes before the roles.

    Args:
        planner: Runs and tasks.
        scheduler: Reasons, nodes, policy, overrides.
        blobs: Values and bundles.
        settings: Limits and the state folder.
        tokens: Whom to let in.
        audit: Where acts are written down.
    """
    shared = Shared(planner, scheduler, blobs, settings, Hub(planner), tokens, audit)

    api = FastAPI(
        title="Headway", version=meta.version_of(), description=DESCRIPTION,
        docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json", redirect_slashes=False,
    )  # fmt: skip
    api.state.shared = shared
    v1 = APIRouter(prefix=PREFIX, dependencies=[Depends(allowed)])
    for routes in (
        runs, tasks, steering, schedules, nodes, windows, tenants, overrides, blob_routes, token_routes, meta,
    ):  # fmt: skip
        v1.include_router(routes.router)
    api.include_router(v1)
    _install_problems(api)
    _complete_openapi(api)
    probes = Probes(planner, scheduler)
    gate = Gate(
        Express(api, shared),
        tokens,
        audit,
        json_limit=settings.http.json_limit,
        streamed=("/v1/blobs/",),
        probes=probes,
    )
    return App(api, gate, shared, probes)


def _install_problems(api: FastAPI) -> None:
    async def ours(request: Request, error: Exception) -> Response:
        return problems.response(problems.as_headway(error), request.url.path)

    async def framework(request: Request, error: Exception) -> Response:
        return problems.response(_translate(error, request), request.url.path)

    api.add_exception_handler(HeadwayError, ours)
    api.add_exception_handler(Exception, ours)
    api.add_exception_handler(HTTPException, framework)
    api.add_exception_handler(RequestValidationError, framework)


def _translate(error: Exception, request: Request) -> HeadwayError:
    """What the framework refused, in our words."""
    if isinstance(error, BodyTooLarge):
        return too_large(None, error.limit)
    if isinstance(error, RequestValidationError):
        return _validation(error)
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return NoRoute(
            f"there is no {request.url.path} here", hint="GET /v1/openapi.json lists what there is"
        )
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return WrongMethod(f"{request.method} is not possible here", hint=f"possible: {allow}", allow=allow)
    return Malformed(str(error.detail))


def _validation(error: RequestValidationError) -> HeadwayError:
    found = [
        {"where": ".".join(str(part) for part in item["loc"]), "what": str(item["msg"])[:500]}
        for item in error.errors()[:20]
    ]
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return Malformed(f"the body is not JSON: {found[0]['what']}", errors=found)
    first = found[0] if found else {"where": "the request", "what": "is not acceptable"}
    return Invalid(
        f"{first['where']}: {first['what']}",
        hint="GET /v1/openapi.json describes every parameter",
        errors=found,
    )


def _complete_openapi(api: FastAPI) -> None:
    """Add what the framework cannot infer: the token, the problem document, a submission's body."""
    original = api.openapi

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = original()
            parts = document.setdefault("components", {})
            parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schemas = parts.setdefault("schemas", {})
            schemas.update(_SCHEMAS)
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            document["security"] = [{"token": []}]
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]


_TEXT = {"type": "string"}
_SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457, with a stable code, the next step, and the facts as data.",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "instance": _TEXT,
            "code": _TEXT,
            "hint": _TEXT,
            "fields": {"type": "object"},
        },
    },
    "Submission": {
        "type": "object",
        "additionalProperties": False,
        "required": ["run", "workflow"],
        "properties": {
            "run": {"type": "string", "description": "The id that the new run will have; unique for ever."},
            "workflow": {"type": "object", "description": "The graph; see `headway.domain.codec`."},
            "values": {
                "type": "object",
                "description": "References by key, for the graph's literal arguments.",
            },
            "bundle": {
                "type": "string",
                "description": "SHA-256 of the sources, sent as a blob; empty if no task needs them.",
            },
        },
    },
}


def dump_openapi(app: App) -> str:
    """The OpenAPI document as text, for the reference page."""
    return json.dumps(app.api.openapi(), indent=2, sort_keys=True)
