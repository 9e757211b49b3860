"""Least attained service of the whole run: the run that was given least so far is next.

An agent's program is many calls; what its user waits for is the last of them. Ordering by what the program as
a whole has been given lets short programs finish past long ones, however many tasks these queue (Autellix,
Luo et al. 2025: program-level attained service). No estimate of the whole is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.domain.task import Task
from headway.domain.units import show_time

if TYPE_CHECKING:
    from headway.core.branches import Branch
    from headway.core.ledger import Account, Ledger
    from headway.core.queue import Shape


class AttainedRun:
    """By processing time given to all tasks of the run."""

    name = "attained_run"
    classes = False
    weighted = False
    rescales = False

    def whose(self, task: Task) -> str:
        """The run."""
        return task.run

    def level(self, account: Account | Branch, ledger: Ledger) -> int:
        """Microseconds of processing."""
        return account.service

    def cost(self, shape: Shape, micros: int, ledger: Ledger, now: int) -> int:
        """Processing time, whatever the task holds."""
        return micros

    def show(self, key: int, now: int) -> str:
        """For a reader."""
        return f"its run was given {show_time(key)}"


ORDER = AttainedRun()
