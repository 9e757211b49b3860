"""`python -m headway.host`: started by the supervisor, niced, and the first to go when memory runs out."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from headway.bus import topics
from headway.bus.client import MqttBus
from headway.bus.port import parse_url
from headway.errors import HeadwayError
from headway.host.graphs import load
from headway.host.hosting import Agent
from headway.settings import read_child

_NICE, _EXPENDABLE = 10, 900


async def _run() -> None:
    child = read_child()
    agents = []
    for name in ("scheduler",):
        address, credential = parse_url(child.brokers[topics.agent_name(name)])
        bus = MqttBus(address, topics.agent_name(name), site=child.settings.site, credential=credential)
        agents.append(Agent(name, load(name), bus, child.settings.site))
    await asyncio.gather(*(agent.run() for agent in agents))


def main() -> None:
    """Until SIGTERM, or a graph hangs."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_EXPENDABLE))
    code = 0
    try:
        asyncio.run(_forever())
    except HeadwayError as error:
        logging.getLogger("headway.agents").error("%s", error)
        code = error.exit_code
    logging.shutdown()
    os._exit(code)  # a hung graph's thread would keep the interpreter


async def _forever() -> None:
    running = asyncio.create_task(_run())
    done, _ = await asyncio.wait({running})
    for task in done:
        if (error := task.exception()) is not None:
            raise error


if __name__ == "__main__":
    main()
