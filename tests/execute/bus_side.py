"""The roles' side of the bus, as an executor sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pydantic_core import to_json

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.endpoint import Endpoint
from headway.bus.letter import Letter
from headway.bus.messages import GrantRow, HelloBody, LeaseBody, ReportBody, ReportRow
from headway.bus.port import Address


class Roles:
    """Scheduler, planner and resource manager, as far as an executor sees them."""

    def __init__(self, address: Address) -> None:
        self.letters: dict[str, list[Letter]] = {}
        clients = {
            "scheduler": topics.scheduler(),
            "planner": topics.planner(),
            "resource_manager": topics.resource_manager(),
        }
        self.endpoints = {
            name: Endpoint(MqttBus(address, name), client, incarnation="7")
            for name, client in clients.items()
        }
        self.acknowledging = True
        self._tasks: list[asyncio.Task[None]] = []
        self._seq = 0

    async def start(self) -> None:
        for name, endpoint in self.endpoints.items():
            await endpoint.start()
            self._tasks.append(asyncio.create_task(self._read(name, endpoint)))

    async def _read(self, name: str, endpoint: Endpoint) -> None:
        while True:
            letters = await endpoint.next(60)
            self.letters.setdefault(name, []).extend(letters)
            if self.acknowledging:
                endpoint.commit(letters)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for endpoint in self.endpoints.values():
            await endpoint.close()

    def send(self, body: LeaseBody, epoch: int) -> None:
        self._seq += 1
        self.endpoints["scheduler"].send(
            "executor-n1", ["executor-n1"], epoch, self._seq, "lease", to_json(body)
        )

    def rows(self, name: str = "scheduler") -> list[ReportRow]:
        return [
            row
            for letter in self.letters.get(name, ())
            for row in ReportBody.model_validate_json(letter.body).rows
        ]

    def hellos(self) -> list[HelloBody]:
        return [
            HelloBody.model_validate_json(letter.body) for letter in self.letters.get("resource_manager", ())
        ]


async def until(true: Callable[[], Any], limit: float = 15.0) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def lease_of(name: str, what: Any, lease: int = 1) -> LeaseBody:
    return LeaseBody(
        calls={f"r/{name}": what}, grants=[GrantRow(f"r/{name}", 1, lease, 0, f"r/{name}", None, {}, [])]
    )
