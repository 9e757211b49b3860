"""What a task asks for besides its turn: tasks that ask the same are one shape, and start in their order."""

from __future__ import annotations

from dataclasses import dataclass

from headway.domain.resources import Demand
from headway.domain.task import Task


@dataclass(frozen=True, slots=True)
class Ask:
    """What decides, besides the policy, whether a task may start and where.

    Attributes:
        pin: The only node it may run on, or empty.
    """

    demand: Demand
    pin: str = ""


def ask_of(task: Task, pin: str = "") -> Ask:
    """What the task asks for; `pin` as an override has it."""
    return Ask(task.demand, pin)
