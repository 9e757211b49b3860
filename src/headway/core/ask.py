"""What a task asks for besides its turn: tasks that ask the same are one shape, and start in their order."""

from __future__ import annotations

from dataclasses import dataclass

from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.where import Where


@dataclass(frozen=True, slots=True)
class Ask:
    """What decides, besides the policy, whether a task may start and where.

    Attributes:
        pin: The only node it may run on, or empty.
        where: What the labels of its node must say.
        forms: Instead of all that: what each variant of the task asks for, while none has been chosen.
    """

    demand: Demand
    pin: str = ""
    where: Where = ()
    forms: tuple[Ask, ...] = ()


def ask_of(task: Task, pin: str = "") -> Ask:
    """What the task asks for; `pin` as an override has it."""
    if task.variants:
        forms = tuple(Ask(variant.demand, pin, variant.where) for variant in task.variants)
        return Ask(forms[0].demand, pin, forms[0].where, forms)
    return Ask(task.demand, pin, task.where)
