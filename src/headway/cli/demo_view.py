"""The demo's screen: a bar for each step of the workflow, and below it what happened, line by line."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BAR = 30
_PER_SECOND = 8


class View:
    """A `demo_run.Screen`. In a terminal it is drawn anew in place; elsewhere only the lines are printed."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._steps: dict[str, int] = {}
        self._tasks: dict[str, dict[str, Any]] = {}
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._on = False
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=_PER_SECOND)

    def __enter__(self) -> View:
        self._on = True
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._on = False
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        """A line that stays, with the time since the start while the show is on."""
        line = Text(style=style)
        if self._on:
            line.append(f"{time.monotonic() - self._began:5.1f} s  ", style="dim")
        line.append(text)
        self._console.print(line, soft_wrap=True)

    def plan(self, steps: dict[str, int]) -> None:
        """Which steps there are, and how many tasks each has."""
        with self._lock:
            self._steps = dict(steps)

    def step(self, change: dict[str, Any]) -> None:
        """A task stands differently now."""
        with self._lock:
            self._tasks[change["name"]] = change
            step, mapped, _ = str(change["name"]).partition("[")
            if step not in self._steps:
                self._steps[step] = 0
            if mapped:
                known = sum(1 for name in self._tasks if name.startswith(f"{step}["))
                self._steps[step] = max(self._steps[step], known)

    def _draw(self) -> Group:
        with self._lock:
            table = Table.grid(padding=(0, 2))
            for step, total in self._steps.items():
                tasks = [task for name, task in self._tasks.items() if name.partition("[")[0] == step]
                table.add_row(*self._row(step, max(1, total), tasks))
        return Group(Text(), table)

    def _row(self, step: str, total: int, tasks: list[dict[str, Any]]) -> tuple[Any, ...]:
        done = sum(task["state"] == "finished" for task in tasks)
        running = [task for task in tasks if task["state"] == "running"]
        part = sum((task.get("progress") or 0) / 1000 for task in running)
        style = "green" if done == total else "yellow" if running else "dim"
        bar = ProgressBar(
            total=total,
            completed=min(total, done + part),
            width=_BAR,
            complete_style=style,
            finished_style="green",
        )
        state = "done" if done == total else f"{len(running)} running" if running else "waiting"
        again = sum(max(0, (task.get("attempt") or 1) - 1) for task in tasks)
        return (
            Text(step, style="bold"),
            bar,
            Text(f"{done}/{total}", justify="right"),
            Text(state, style=style),
            Text(f"{again} re-run" if again else "", style="magenta"),
        )
