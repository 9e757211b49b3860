"""What happens in the demo, step by step. `demo_view` shows it."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from headway import content
from headway.cli import starting
from headway.cli.options import settings_of
from headway.cli.target import load
from headway.client import Client, RunHandle
from headway.domain.units import show_time
from headway.errors import HeadwayError, Unavailable
from headway.settings import Settings

#: The service is killed when so much of the sweep is done; everything when the refit has begun.
FIRST_KILL = 0.3
#: Longest the demo may take before it gives up, seconds.
LIMIT = 300.0


class Screen(Protocol):
    """What the demo tells whoever shows it."""

    def say(self, text: str, style: str = "") -> None: ...

    def step(self, change: dict[str, Any]) -> None: ...

    def plan(self, steps: dict[str, int]) -> None: ...


class Demo:
    """One showing.

    Args:
        state: State folder of the service.
        out: Where model and report go.
        folds: Parts of the cross-validation.
    """

    def __init__(self, state: Path, out: Path, folds: int) -> None:
        self._out, self._folds = out, folds
        self._settings: Settings = settings_of(state, node__cpus="2")
        self._why = ""
        self._began = time.monotonic()
        self._closing = threading.Event()
        self._tasks: dict[str, dict[str, Any]] = {}
        self._client: Client | None = None
        self._handle: RunHandle | None = None

    # ── the show ──────────────────────────────────────────────────────────────────────────────────

    def play(self, screen: Screen) -> None:
        """From the start of the service to the end of the run.

        Raises:
            HeadwayError: A part of it failed.
        """
        found = starting.start_detached(self._settings)
        screen.say(f"headway up: broker, service and executor at {found['url']}, 2 slots")
        self._client = Client(self._settings.state, patience=60)
        training = load(str(content.find("workflows", "model_training.py")))
        handle = self._client.submit(training, folds=self._folds, out=str(self._out))
        self._handle = handle
        screen.say(f"submitted {handle.id}: acknowledged, so it is on disk")
        self._look(screen)
        threading.Thread(target=self._watch, args=(screen,), daemon=True, name="changes").start()
        self._until(lambda: self._share("cross_validate") >= FIRST_KILL, "the sweep")
        self._ask_why()
        self._kill_service(screen)
        self._until(lambda: self._checkpointed(), "the refit's first checkpoint")
        self._kill_everything(screen)
        handle.wait(LIMIT)
        self._look(screen)

    def _watch(self, screen: Screen) -> None:
        """Changes as the service tells them; it may be away for a while."""
        assert self._client is not None
        while not self._closing.is_set():
            try:
                for change in self._client.events(self._run):
                    if self._closing.is_set():
                        return
                    self._take(change, screen)
            except HeadwayError:
                time.sleep(0.2)

    @property
    def _run(self) -> str:
        assert self._handle is not None
        return self._handle.id

    def _take(self, change: dict[str, Any], screen: Screen) -> None:
        if change.get("type") == "task":
            self._tasks[change["name"]] = change
            screen.step(change)
        elif change.get("type") == "reset":
            self._look(screen)

    def _look(self, screen: Screen) -> None:
        """All tasks as they stand."""
        assert self._client is not None
        tasks = self._client.tasks(self._run, limit=1000)
        self._tasks = {task["name"]: task for task in tasks}
        steps: dict[str, int] = {}
        for task in tasks:
            name = str(task["name"]).partition("[")[0]
            steps[name] = steps.get(name, 0) + 1
        screen.plan(steps)
        for task in tasks:
            screen.step(task)

    def _until(self, reached: Any, what: str) -> None:
        while not reached():
            if any(task["state"] == "failed" for task in self._tasks.values()):
                raise Unavailable("a task of the demo failed", hint=f"see {self._settings.state / 'logs'}")
            if time.monotonic() - self._began > LIMIT:
                raise Unavailable(
                    f"the demo waited {LIMIT:.0f} s for {what}",
                    hint="is the machine very busy? `headway doctor`",
                )
            time.sleep(0.05)

    def _of(self, step: str) -> list[dict[str, Any]]:
        return [task for name, task in self._tasks.items() if name.partition("[")[0] == step]

    def _share(self, step: str) -> float:
        tasks = self._of(step)
        return sum(task["state"] == "finished" for task in tasks) / len(tasks) if tasks else 0.0

    def _checkpointed(self) -> bool:
        folder = self._settings.state / "checkpoints" / self._run
        return folder.exists() and any(folder.rglob("*.ckpt")) and self._of("refit")[0]["state"] == "running"

    def _ask_why(self) -> None:
        """Ask about a task that waits, while it waits."""
        assert self._client is not None
        waiting = [name for name, task in self._tasks.items() if task["state"] in ("waiting", "queued")]
        for name in reversed(waiting):
            with suppress(HeadwayError):
                answer = self._client.why(f"{self._run}/{name}")
                if answer["state"] == "queued":
                    self._why = answer["text"]
                    return

    # ── the kills ─────────────────────────────────────────────────────────────────────────────────

    def _kill_service(self, screen: Screen) -> None:
        """The roles, the journal writer and HTTP die; the tasks they started run on."""
        running = sum(task["state"] == "running" for task in self._tasks.values())
        pid = self._pids()["service"]
        os.kill(pid, signal.SIGKILL)
        screen.say(f"kill -9 {pid}: the service is dead, {running} tasks run on", "bold red")
        before = time.monotonic()
        self._answers()
        screen.say(
            f"restarted by the supervisor and folded its journal: back after {_since(before)}", "green"
        )

    def _kill_everything(self, screen: Screen) -> None:
        """The supervisor dies, and with it broker, service, executor, workers and the task in its middle."""
        pid = self._pids()["supervisor"]
        os.kill(pid, signal.SIGKILL)
        screen.say(f"kill -9 {pid}: the supervisor, and all with it, in the middle of the refit", "bold red")
        before = time.monotonic()
        starting.start_detached(self._settings)
        self._answers()
        screen.say(f"headway up again: resumed from journal and checkpoint after {_since(before)}", "green")

    def _pids(self) -> dict[str, int]:
        found = starting.state_of(self._settings.state)
        if found is None:
            raise Unavailable("the service has no service.json", hint=f"see {self._settings.state / 'logs'}")
        pids: dict[str, int] = found["pids"]
        return pids

    def _answers(self) -> None:
        """Wait until HTTP answers again."""
        assert self._client is not None
        self._client.ready()

    # ── the end ───────────────────────────────────────────────────────────────────────────────────

    def summary(self, screen: Screen) -> None:
        """What came of it, from the planner's own records."""
        assert self._client is not None
        assert self._handle is not None
        tasks = [self._client.task(f"{self._run}/{name}") for name in self._tasks]
        ends = [sum(attempt["outcome"] == "finished" for attempt in task["attempts"]) for task in tasks]
        twice = sum(count - 1 for count in ends if count > 1)
        again = sum(max(0, task["attempt"] - 1) for task in tasks)
        result = self._handle.result(10)
        screen.say("")
        screen.say(f"{len(tasks)} tasks, recorded twice: {twice}, attempts re-run: {again}", "bold")
        if self._why:
            screen.say("Why one task waited (headway why TASK):")
            for line in self._why.splitlines():
                screen.say(f"  {line}", "dim")
        for line in _lines(result):
            screen.say(line)
        screen.say(f"Report: {self._out / 'report.html'}", "bold cyan")
        screen.say(
            f"All of it in {show_time(int((time.monotonic() - self._began) * 1e6))}; stopping the service."
        )

    def end(self) -> None:
        """Stop the service, whatever happened."""
        self._closing.set()
        if self._client is not None:
            self._client.close()
        with suppress(HeadwayError):
            starting.stop(self._settings.state, 20, force=True)


def _since(before: float) -> str:
    return show_time(int((time.monotonic() - before) * 1e6))


def _lines(result: Any) -> list[str]:
    """The result, a line a field."""
    if not isinstance(result, dict):
        return [f"Result: {result!r}"]
    shown = [
        f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
        for key, value in result.items()
    ]
    return (
        [f"Result: {', '.join(shown)}"]
        if len(", ".join(shown)) < 160
        else ["Result:", *(f"  {line}" for line in shown)]
    )
