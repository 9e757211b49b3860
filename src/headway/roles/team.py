"""The three roles of a site in one process, each with its own connection, credentials and journal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.endpoint import LEASE, Endpoint
from headway.bus.messages import Presence
from headway.bus.names import PLANNER, SCHEDULER
from headway.bus.port import Address
from headway.core.engine import Engine
from headway.core.joint.horizon import Aim
from headway.errors import HeadwayError
from headway.journal.port import Journal
from headway.roles.feed import Feed
from headway.roles.front import PlannerFront, SchedulerFront
from headway.roles.loop import BlobWriter, RoleLoop
from headway.roles.planner import Planner
from headway.roles.planning import Planning
from headway.roles.resource_manager import ResourceManager
from headway.roles.scheduler import Scheduler
from headway.roles.step import Role, Step
from headway.roles.tally import Tally

log = logging.getLogger("headway.roles")

#: An executor that is gone may be restarted and take up its workers again: so long its tasks are not given up.
GRACE_SECONDS = 5.0

CLIENTS = {
    "planner": topics.planner,
    "scheduler": topics.scheduler,
    "resource_manager": topics.resource_manager,
}


class Team:
    """Builds, restores, connects and runs the roles.

    Args:
        journal: Open; all three write to it, and ended runs are read from its archive.
        blobs: Where fan-in inputs go.
        address: Of the broker, with the credentials of the three roles.
        epoch: Of the state folder: the epoch of every stream the roles send, except those to executors.
        site: As in the topics.
        order, discipline, placement: The policy that the settings ask for; an operator may have changed it since, and that stays
            until the settings change.
        aim: What plans are made for where the order is `joint`.
    """

    def __init__(
        self,
        journal: Journal,
        blobs: BlobWriter,
        address: Address,
        *,
        epoch: int,
        site: str,
        order: str,
        discipline: str,
        placement: str = "best_fit",
        tables: Mapping[str, Any] | None = None,
        aim: Aim | None = None,
    ) -> None:
        self.feed = Feed()
        #: Called with each run that finished, once that is on disk: what only a resume would need can go.
        self.on_finished: Callable[[str], None] | None = None
        self.planner, self.resource_manager = Planner(self.feed.heard), ResourceManager()
        self.scheduler = Scheduler(Engine())
        self._address, self._site = address, site
        self._policy: dict[str, Any] = {
            "order": order,
            "discipline": discipline,
            "placement": placement,
            "tables": dict(tables or {}),
        }
        told = {PLANNER: self._planned, SCHEDULER: self._scheduled}
        self._loops = {
            role.name: RoleLoop(role, journal, blobs, epoch, on_step=told.get(role.name))
            for role in self._roles()
        }
        self.planning = Planning(self._loops[SCHEDULER], self.scheduler, aim or Aim())
        self._endpoints: dict[str, Endpoint] = {}
        self._running: list[asyncio.Task[None]] = []
        self._vigils: set[asyncio.Task[None]] = set()
        self.front = PlannerFront(self._loops["planner"], self.planner, self.feed, journal)
        self.scheduling = SchedulerFront(
            self._loops["scheduler"], self.scheduler, self._loops["resource_manager"], self.front
        )
        #: Set when a loop ended by itself: the process should end too, and be started again.
        self.failed = asyncio.Event()

    def _roles(self) -> tuple[Role, ...]:
        return self.planner, self.scheduler, self.resource_manager

    async def start(self) -> None:
        """Fold the journals, connect, and begin to work."""
        incarnation = str(time.time_ns() // 1000)
        for name, loop in self._loops.items():
            started = time.perf_counter()
            cursors = loop.restore()
            log.info("the %s folded its journal in %.3f s", name, time.perf_counter() - started)
            self._endpoints[name] = endpoint = Endpoint(
                MqttBus(self._address, name, site=self._site),
                CLIENTS[name](),
                incarnation=incarnation,
                site=self._site,
                cursors=cursors,
                on_acked=loop.acknowledged,
                on_presence=self._on_presence if name == "resource_manager" else None,
            )
            await endpoint.start()
            loop.attach(endpoint)
            self._running.append(asyncio.create_task(self._run(loop), name=name))
        self.planner.tally = Tally()  # what the fold has seen end has ended before
        self.planning.start()
        await self._loops["scheduler"].call("configure", self._policy)
        for hello in self.resource_manager.nodes.values():
            self._watch(hello.node.name, hello.incarnation, LEASE / 1e6 + GRACE_SECONDS)

    async def _run(self, loop: RoleLoop) -> None:
        try:
            await loop.run()
        except Exception:
            # What was not committed was neither acknowledged nor published: a restart takes it up from the journal.
            log.exception("the %s ended by a defect", loop.role.name)
            self.failed.set()

    def _scheduled(self, _: Step) -> None:
        self.planning.stepped()

    def _planned(self, step: Step) -> None:
        if step.changes:
            self.feed.publish(step.changes)
        if self.on_finished is not None:
            for document in step.documents:
                if document.kind == "run" and document.state == "finished":
                    self.on_finished(document.key)

    async def planner_stepped(self) -> None:
        """Wait for the planner's next step."""
        await self._loops["planner"].stepped()

    # ── presence: who is late ─────────────────────────────────────────────────────────────────────────────────────────

    def _on_presence(self, presence: Presence) -> None:
        if presence.alive or not presence.name.startswith(topics.executor_name("")):
            return
        node = presence.name.removeprefix(topics.executor_name(""))
        self._watch(node, presence.incarnation, GRACE_SECONDS)

    def _watch(self, node: str, incarnation: str, wait: float) -> None:
        vigil = asyncio.create_task(self._expire(node, incarnation, wait), name=f"vigil {node}")
        self._vigils.add(vigil)
        vigil.add_done_callback(self._vigils.discard)

    async def _expire(self, node: str, incarnation: str, wait: float) -> None:
        """Give a node up if nothing of it is heard for `wait` seconds during which we could have heard it."""
        endpoint = self._endpoints["resource_manager"]
        heard_since = time.monotonic()
        while time.monotonic() - heard_since < wait:
            await asyncio.sleep(wait / 20)
            if not endpoint.connected or endpoint.silence > LEASE / 2e6:
                heard_since = time.monotonic()
            peer = endpoint.peers.get(topics.executor_name(node))
            if peer is not None and peer.alive:
                return
        with contextlib.suppress(HeadwayError):
            await self._loops["resource_manager"].call("expired", {"node": node, "incarnation": incarnation})
            log.warning("node %s is lost: nothing heard of it for %.0f s", node, wait)

    async def stop(self) -> None:
        """End each loop after its step, with a snapshot, and disconnect."""
        for vigil in self._vigils:
            vigil.cancel()
        await self.planning.stop()
        for loop in self._loops.values():
            loop.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=10)
        for task in self._running:
            task.cancel()
        for endpoint in self._endpoints.values():
            await endpoint.close()
