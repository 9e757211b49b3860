"""Who makes the scheduler's plans, beside it: a solver in a process of its own, asked when a plan is due.

The scheduler never waits for it. A plan comes back as a call to the scheduler's loop, is checked before it goes there,
journalled with all that it says, and followed from then on. A solver that is slow, dead, or talks nonsense costs a line in the
log and a pause: placement goes on with the plan there is, or with the fallback order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import sys
from collections.abc import Sequence
from contextlib import suppress

from headway.bus.child import leashed
from headway.core.joint.codec import answer_from_json, problem_to_json
from headway.core.joint.horizon import Aim, Look, due, look, record
from headway.core.joint.port import Answer
from headway.core.joint.problem import PPM, Objective
from headway.domain.units import MILLI, SECOND
from headway.errors import HeadwayError, Invalid, Unavailable
from headway.roles.loop import RoleLoop
from headway.roles.scheduler import Scheduler
from headway.settings import JointSettings

log = logging.getLogger("headway.roles")

#: Seconds that one answer may take; then the solver is started anew.
PATIENCE = 60.0
#: Seconds between two looks at whether a plan is due: a busy scheduler steps hundreds of times in one.
LOOK_AGAIN = 0.05
#: Pauses after a failure, seconds: the first, doubled each time, the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: The longest answer, bytes.
LINE_LIMIT = 1 << 20
COMMAND = (sys.executable, "-m", "headway.solvers")


def aim_of(settings: JointSettings) -> Aim:
    """What the settings want of a plan."""
    return Aim(
        objective=Objective(settings.objective),
        floor=settings.u_min * (PPM // MILLI),
        horizon=settings.horizon,
        jobs=settings.jobs,
        every=settings.every,
        steps=settings.steps,
        seed=settings.seed,
        solver=settings.solver,
    )


class Planning:
    """Keeps the plan of a scheduler fresh.

    Args:
        loop: The scheduler's.
        scheduler: Whose engine is looked at, between its steps.
        aim: What plans are made for.
        command: The solver's process.
        patience: Seconds for one answer.

    Attributes:
        made, failed: Plans that went to the scheduler; questions that came to nothing.
    """

    def __init__(
        self,
        loop: RoleLoop,
        scheduler: Scheduler,
        aim: Aim,
        *,
        command: Sequence[str] = COMMAND,
        patience: float = PATIENCE,
    ) -> None:
        self._loop, self._scheduler, self._aim = loop, scheduler, aim
        self._command, self._patience = list(command), patience
        self._bell = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.made = self.failed = 0

    def stepped(self) -> None:
        """To be told after every step of the scheduler."""
        if self._scheduler.engine.world.policy.planned:
            self._bell.set()

    def start(self) -> None:
        """Begin; the process is started with the first question."""
        self._task = asyncio.create_task(self._run(), name="planning")

    async def stop(self) -> None:
        """End, and the solver with it."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._end_process()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._bell.wait()
            self._bell.clear()
            if not due(self._scheduler.engine.world, self._loop.now(), self._aim):
                await asyncio.sleep(LOOK_AGAIN)
                continue
            try:
                await self._renew()
                pause, wait = FIRST_PAUSE, self._aim.every / SECOND
            except (HeadwayError, OSError, ValueError) as error:
                self.failed += 1
                log.warning(
                    "no new plan: %s; the scheduler goes on without, next try in %.0f s", error, pause
                )
                await self._end_process()
                wait, pause = pause, min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(wait)
            self._bell.set()

    async def _renew(self) -> None:
        seen = look(self._scheduler.engine.world, self._loop.now(), self._aim)
        if seen is None:
            return
        answer = await self._ask(seen)
        made = record(seen, answer, self._aim, f"p-{secrets.token_hex(4)}")
        await self._loop.call("plan", made.tree())
        self.made += 1

    async def _ask(self, seen: Look) -> Answer:
        """The solver's answer. Raises Unavailable if none comes, Invalid for nonsense."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(self._command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_LIMIT,
                start_new_session=True,
            )
        process, aim = self._process, self._aim
        assert process.stdin is not None
        assert process.stdout is not None
        asked = {
            "problem": problem_to_json(seen.problem),
            "solver": aim.solver,
            "steps": aim.steps,
            "seed": aim.seed,
        }
        process.stdin.write(json.dumps(asked).encode() + b"\n")
        try:
            async with asyncio.timeout(self._patience):
                await process.stdin.drain()
                line = await process.stdout.readline()
        except TimeoutError:
            raise Unavailable(f"the solver has not answered for {self._patience:g} s") from None
        if not line:
            raise Unavailable("the solver has ended")
        found = json.loads(line)
        if isinstance(found, dict) and "error" in found:
            raise Invalid(f"the solver says: {found['error']}")
        return answer_from_json(found)

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
