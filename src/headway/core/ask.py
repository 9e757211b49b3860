"""What a task asks for besides its turn: tasks that ask the same are one shape, and start in their order."""

from __future__ import annotations

from dataclasses import dataclass

from headway.domain.beside import Beside
from headway.domain.resources import Demand
from headway.domain.task import Task
from headway.domain.where import Where


@dataclass(frozen=True, slots=True)
class Wide:
    """What the members of a gang ask for together: it is never one node's to hold.

    Attributes:
        parts: What members ask for, each with how many of them, in the order of the first of them.
        within: As `Gang.within`.
    """

    parts: tuple[tuple[Ask, int], ...]
    within: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bonds:
    """What tasks of a run ask of others that run at the same time."""

    run: str
    tenant: str
    beside: Beside


@dataclass(frozen=True, slots=True)
class Ask:
    """What decides, besides the policy, whether a task may start and where.

    Attributes:
        pin: The only node it may run on, or empty.
        where: What the labels of its node must say.
        forms: Instead of all that: what each variant of the task asks for, while none has been chosen.
        wide: For a gang in line, what all its members ask for; then the rest is its leader's.
        tenant: Whose it is, if that has limits of its own (`admission.gates`), else empty.
        bonds: What it asks of other tasks, or None.
    """

    demand: Demand
    pin: str = ""
    where: Where = ()
    forms: tuple[Ask, ...] = ()
    wide: Wide | None = None
    tenant: str = ""
    bonds: Bonds | None = None


def ask_of(task: Task, pin: str = "", tenant: str = "") -> Ask:
    """What the task asks for; `pin` as an override has it, `tenant` as the gates say."""
    if task.variants:
        forms = tuple(Ask(one.demand, pin, one.where, tenant=tenant) for one in task.variants)
        return Ask(forms[0].demand, pin, forms[0].where, forms, tenant=tenant)
    bonds = Bonds(task.run, task.tenant, task.beside) if task.beside is not None else None
    return Ask(task.demand, pin, task.where, tenant=tenant, bonds=bonds)
