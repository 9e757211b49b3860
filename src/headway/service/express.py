"""The two requests that somebody waits for, answered without the framework's routing: a submission, and a look at a run.

Their routes in `routes.runs` describe them, and answer whatever is unusual about them; both call the same functions. On an idle
machine the framework's part was a quarter of the time from a submit to the task's first instruction.
"""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from headway.service.rights import SUBMIT, check_role, check_run
from headway.service.routes.runs import accept, to_json
from headway.service.state import Shared
from headway.service.waiting import MAX_WAIT, run_when_over

_RUNS, _RUN = "/v1/runs", re.compile(r"/v1/runs/([A-Za-z0-9_.-]+)\Z")
_WAIT = re.compile(rb"(?:wait=([0-9]{1,2}(?:\.[0-9]{1,6})?))?\Z")


class Express:
    """Stands between the gate, which turns errors into problem documents, and the application.

    Args:
        app: Takes every other request.
        shared: The ports.
    """

    def __init__(self, app: ASGIApp, shared: Shared) -> None:
        self._app, self._shared = app, shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if scope["method"] == "POST" and scope["path"] == _RUNS and not scope["query_string"]:
                await self._submit(scope, receive, send)
                return
            if scope["method"] == "GET" and (run := _RUN.match(scope["path"])) is not None:
                wait = _WAIT.match(scope["query_string"])
                if wait is not None and float(wait[1] or 0) <= MAX_WAIT:
                    await check_run(self._shared.planner, scope["identity"], run[1])
                    view = await run_when_over(
                        self._shared.planner, self._shared.hub, run[1], float(wait[1] or 0)
                    )
                    await _answer(send, 200, {}, to_json(view))
                    return
            if scope["path"] == "/metrics":  # where Prometheus looks if nobody tells it otherwise
                scope = {**scope, "path": "/v1/metrics", "raw_path": b"/v1/metrics"}
        await self._app(scope, receive, send)

    async def _submit(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_role(scope["identity"], SUBMIT)
        parts = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        key = next((value for name, value in scope["headers"] if name == b"idempotency-key"), None)
        text = None if key is None else key.decode("latin-1")
        await _answer(send, *await accept(self._shared, b"".join(parts), text, scope["identity"]))


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    lines = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    lines += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
