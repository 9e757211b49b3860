"""`/healthz` and `/readyz`, as orchestrators ask them: without a token, and with nothing in the answer that is a secret."""

from __future__ import annotations

import json

from starlette.types import Send

from headway.service.ports import PlannerPort, SchedulerPort

PATHS = ("/healthz", "/readyz")


class Probes:
    """Looks at the roles.

    Attributes:
        stopping: The service takes no more work.
    """

    def __init__(self, planner: PlannerPort, scheduler: SchedulerPort) -> None:
        self._roles: dict[str, PlannerPort | SchedulerPort] = {"planner": planner, "scheduler": scheduler}
        self.stopping = False

    def wrong(self) -> dict[str, str]:
        """What keeps the service from taking work, in words by part; empty if nothing does."""
        found = {}
        if self.stopping:
            found["service"] = "it is stopping"
        for name, role in self._roles.items():
            stats = role.stats()
            if not stats.get("ready", True):
                found[name] = f"it is not ready: {stats.get('waiting_for', 'it is reading its journal')}"
            elif stats.get("trouble"):
                found[name] = f"it cannot write its journal: {stats['trouble']}"
            elif not stats.get("connected", True):
                found[name] = "it is not connected to the broker"
        return found

    async def answer(self, path: str, send: Send) -> None:
        """`/healthz`: the process answers, 200. `/readyz`: 200, or 503 with what is wrong."""
        wrong = self.wrong() if path == "/readyz" else {}
        status = "live" if path == "/healthz" else "not ready" if wrong else "ready"
        body = json.dumps({"status": status, **({"wrong": wrong} if wrong else {})}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 503 if wrong else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
