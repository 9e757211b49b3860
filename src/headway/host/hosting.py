"""One agent on its connection: the latest digest goes into its graph, what comes out is checked and published.

The graph may be slow, wrong or hung. It runs in a thread; what takes longer than `LIMIT` is given up, and with it the process,
since a thread cannot be ended: the supervisor starts another. Nobody waits for any of this.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from pydantic import ValidationError

from headway.bus import topics
from headway.bus.letter import BadEnvelope, Letter, decode, encode
from headway.bus.messages import DigestBody, ProposalBody
from headway.bus.port import Bus
from headway.errors import Unavailable
from headway.host.graphs import Graph

log = logging.getLogger("headway.agents")

#: Seconds that a graph may deliberate.
LIMIT = 20.0


class Hung(Unavailable):
    """A graph did not come back."""

    code = "hung"


class Agent:
    """See the module.

    Args:
        name: `scheduler`.
        graph: Compiled.
        bus: A connection of its own, not started.
        site: In the topics.
        limit: Seconds that a deliberation may take.
    """

    def __init__(self, name: str, graph: Graph, bus: Bus, site: str, limit: float = LIMIT) -> None:
        self._client, self._graph, self._bus, self._site = topics.agent(name), graph, bus, site
        self._limit = limit
        self._latest: bytes | None = None
        self._come = asyncio.Event()
        self._said = 0
        self._epoch = time.time_ns() // 1000

    async def run(self) -> None:
        """Until it is cancelled.

        Raises:
            Hung: A deliberation did not end.
        """
        await self._bus.start(
            topics.subscriptions(self._site, self._client), self._hear, lambda: None, wait=60.0
        )
        try:
            while True:
                await self._come.wait()
                self._come.clear()
                data, self._latest = self._latest, None
                if data is not None and (digest := _digest(data)) is not None:
                    self._say(digest.at, await self._deliberate(digest))
        finally:
            await self._bus.close()

    def _hear(self, topic: str, payload: bytes) -> None:
        """Only the latest counts: what a slow graph missed is no longer so."""
        said = topics.parse(topic)
        if said is not None and said.sender == topics.DESK and said.about == topics.DIGEST:
            self._latest = payload
            self._come.set()

    async def _deliberate(self, digest: DigestBody) -> list[Any]:
        thinking = asyncio.get_running_loop().run_in_executor(
            None, self._graph.invoke, {"digest": digest.model_dump()}
        )
        try:
            state = await asyncio.wait_for(thinking, self._limit)
        except TimeoutError:
            raise Hung(f"the graph did not come back within {self._limit:.0f} s") from None
        except Exception:
            log.exception("a deliberation failed; the next digest is another chance")
            return []
        proposals = state.get("proposals") if isinstance(state, dict) else None
        return proposals if isinstance(proposals, list) else []

    def _say(self, digest: int, proposals: list[Any]) -> None:
        """Publish what a deliberation came to; nothing is an answer too: it tells that we are there."""
        try:
            body = ProposalBody(digest=digest, proposals=proposals)
        except ValidationError as error:
            log.warning("what the graph proposes makes no sense: %s", error)
            body = ProposalBody(digest=digest, proposals=[])
        self._said += 1
        letter = Letter(
            self._client.name, topics.PROPOSAL, self._epoch, self._said, topics.PROPOSAL,
            body.model_dump_json().encode(), time.time_ns() // 1000,
        )  # fmt: skip
        self._bus.publish(topics.letter(self._site, self._client.name, topics.PROPOSAL), encode(letter))


def _digest(data: bytes) -> DigestBody | None:
    try:
        return DigestBody.model_validate_json(decode(topics.DIGEST, data).body)
    except (BadEnvelope, ValidationError) as error:
        log.warning("a digest makes no sense: %s", error)
        return None
