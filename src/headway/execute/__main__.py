"""`python -m headway.execute`: the executor of this machine's node, started by the supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress

import uvloop

from headway.authoring.secrets import sources_of
from headway.bus import topics
from headway.bus.port import Address, parse_url
from headway.errors import HeadwayError, Unavailable
from headway.execute.agent import Agent
from headway.execute.machine import this_machine
from headway.settings import CHILD_VARIABLE, Child, read_child

log = logging.getLogger("headway.execute")

#: Seconds that running tasks get for a checkpoint when the service is stopped.
_STOP_GRACE = 3.0


async def run(child: Child) -> None:
    """Until SIGTERM, or the supervisor's death."""
    settings, stop = child.settings, asyncio.Event()
    loop = asyncio.get_running_loop()
    _watch_lifeline(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    node = this_machine(settings.node, settings.state)
    agent = Agent(
        node,
        settings.state,
        _address(child, topics.executor_name(node.name)),
        site=settings.site,
        secrets=sources_of(settings),
    )
    await agent.start()
    log.info("node %s is here, and holds %d attempts", node, len(agent.executor.holds()))
    ends = [asyncio.create_task(event.wait()) for event in (stop, agent.failed)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if agent.failed.is_set():
        os._exit(70)  # the workers run on, and the executor that the supervisor starts next adopts them
    await agent.stop(_STOP_GRACE)


def _address(child: Child, name: str) -> Address:
    """Of the broker, with this executor's login."""
    if name not in child.brokers:
        raise Unavailable(f"the supervisor gave no login for {name}", hint="run `headway up` again")
    address, credential = parse_url(child.brokers[name])
    return Address(address.host, address.port, address.tls, child.ca_file, {name: credential})


def _watch_lifeline(loop: asyncio.AbstractEventLoop) -> None:
    """When the supervisor dies nobody will read a report: end at once. Workers watch it themselves."""
    text = os.environ.get("HEADWAY_LIFELINE", "")
    if text.isdigit():
        with suppress(OSError):
            loop.add_reader(int(text), lambda: os.kill(os.getpid(), signal.SIGKILL))


def main() -> None:
    """Exit codes as everywhere: see `headway.errors`."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        child = read_child()
        os.environ.pop(CHILD_VARIABLE, None)  # where the broker's password lies is no business of a task
        uvloop.run(run(child))
    except HeadwayError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
