"""The service's side of the agents: hands them digests, takes their proposals to the scheduler, and shows what became of them.

An agent's message is a stranger's: its sender is its topic's, its size is bounded, its body is typed, and no more than `WAITING`
of them wait. Digests are made by the follower, so that the scheduler's loop does nothing for agents but judge.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from headway.bus import topics
from headway.bus.letter import BadEnvelope, Letter, decode, encode
from headway.bus.messages import DigestBody, ProposalBody
from headway.bus.port import Bus
from headway.errors import HeadwayError
from headway.override.proposal import Proposal
from headway.settings import AgentSettings

log = logging.getLogger("headway.service")

#: Messages that wait to be read, and their size in bytes.
WAITING, LARGEST = 100, 65_536

View = dict[str, Any]


class Desk:
    """See the module.

    Args:
        settings: Who may do what, and how often digests go out.
        bus: A connection of its own, not started.
        site: In the topics.
        ask: Asks the follower: (duty, body).
        judge: Hands a proposal to the scheduler: {"proposal", "autonomy"}.
    """

    def __init__(
        self,
        settings: AgentSettings,
        bus: Bus,
        site: str,
        ask: Callable[[str, View], Awaitable[View]],
        judge: Callable[[View], Awaitable[View]],
    ) -> None:
        self._settings, self._bus, self._site, self._ask, self._judge = settings, bus, site, ask, judge
        self._client = topics.desk()
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(WAITING)
        self._autonomy = {"scheduler": settings.scheduler}
        self._heard: dict[str, int] = {}
        self._sent = 0
        self._epoch = time.time_ns() // 1000
        #: Messages that were not taken, by why: `full`, `large`, `foreign`, `nonsense`.
        self.dropped: Counter[str] = Counter()

    async def run(self) -> None:
        """Until it is cancelled; without agents it does nothing at all."""
        if all(autonomy == "off" for autonomy in self._autonomy.values()):
            return
        try:
            await self._bus.start(
                topics.subscriptions(self._site, self._client), self.take, lambda: None, wait=60.0
            )
            await asyncio.gather(self._tell(), self._read())
        except HeadwayError as error:
            log.warning("the agents are not heard: %s", error)
        finally:
            await self._bus.close()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(self._settings.every / 1e6)
            try:
                digest = DigestBody(**{**await self._ask("digest", {}), "patience": self._settings.patience})
            except HeadwayError as error:
                log.info("no digest for the agents: %s", error)
                continue
            self._sent += 1
            letter = Letter(
                self._client.name, topics.DIGEST, self._epoch, self._sent, topics.DIGEST,
                digest.model_dump_json().encode(), time.time_ns() // 1000,
            )  # fmt: skip
            self._bus.publish(topics.letter(self._site, self._client.name, topics.DIGEST), encode(letter))

    def take(self, topic: str, payload: bytes) -> None:
        """A message has come: read later, off the connection's turn."""
        said = topics.parse(topic)
        if said is None or said.what != topics.TO or said.about != topics.PROPOSAL:
            return
        if len(payload) > LARGEST:
            self.dropped["large"] += 1
            return
        try:
            self._queue.put_nowait((said.sender, payload))
        except asyncio.QueueFull:
            self.dropped["full"] += 1

    async def _read(self) -> None:
        while True:
            sender, payload = await self._queue.get()
            await self.hand_on(sender, payload)

    async def hand_on(self, sender: str, payload: bytes) -> None:
        """What an agent proposes goes to the scheduler, one by one; what makes no sense is counted and dropped."""
        agent = sender.removeprefix(topics.agent_name(""))
        autonomy = self._autonomy.get(agent, "off")
        if autonomy == "off" or sender != topics.agent_name(agent):
            self.dropped["foreign"] += 1
            return
        try:
            letter = decode(topics.PROPOSAL, payload)
            body = ProposalBody.model_validate_json(letter.body)
        except (BadEnvelope, ValidationError) as error:
            self.dropped["nonsense"] += 1
            log.info("%s says what makes no sense: %s", sender, str(error).splitlines()[0])
            return
        if letter.sender != sender:
            self.dropped["foreign"] += 1
            return
        self._heard[agent] = time.time_ns() // 1000
        for asked in body.proposals:
            proposal = Proposal(f"a-{secrets.token_hex(4)}", sender, digest=body.digest, **asked.model_dump())
            try:
                await self._judge({"proposal": asdict(proposal), "autonomy": autonomy})
            except HeadwayError as error:
                log.warning("a proposal of %s was not judged: %s", sender, error)

    def views(self) -> list[View]:
        """Each agent: what it may, and when it was last heard (microseconds; 0 for never)."""
        return [
            {"name": name, "autonomy": autonomy, "heard": self._heard.get(name, 0)}
            for name, autonomy in self._autonomy.items()
        ]
