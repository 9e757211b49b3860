"""Who goes first: one file a policy, named as in `headway.toml`.

A new order is one new module here with an `ORDER`; nothing else needs to know. It gives each task a whole
number, smaller first, from what the task and the `Book` say. A component of a composition must stay within
`WIDTH` bits (it is clamped), the first one may be negative too. Ties fall to the next component, in the end
to the order of arrival.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from headway.core.state import Entry
from headway.domain.task import Task

if TYPE_CHECKING:
    from headway.core.branches import Branch
    from headway.core.ledger import Account, Ledger
    from headway.core.queue import Shape

#: Bits of a component: microseconds for over a thousand years, or for as long with a factor of 64.
WIDTH = 56
#: The largest key of a component; larger ones count as this.
LIMIT = (1 << WIDTH) - 1


class Book(Protocol):
    """What an order may look up, besides the task itself."""

    def remaining(self, entry: Entry) -> int:
        """Processing time that is left, in microseconds, as said or learned, less what a checkpoint keeps."""
        ...

    def total(self, entry: Entry) -> int:
        """Processing time of the whole task, in microseconds, as said or learned."""
        ...

    def level(self, entry: Entry) -> int:
        """How far ahead the task's account is, under a policy with turns; else 0."""
        ...

    def branches(self, entry: Entry) -> list[tuple[str, int]]:
        """The tenants that the task's account is part of, topmost first, and how far ahead each is."""
        ...

    def planned(self, entry: Entry) -> int:
        """The task's rank in the plan in force, from 0; -1 if it has none."""
        ...


class Order(Protocol):
    """One component of a policy.

    An order may also have `show(key, now) -> str`: its key for a reader, as `why` prints it; without it the
    name and the number are shown.

    Attributes:
        name: As users write it.
        classes: Its keys are classes: a task of a better class may preempt one of a worse.
    """

    name: str
    classes: bool

    def key(self, entry: Entry, book: Book) -> int:
        """Where the task stands by this order; smaller goes first. Asked when it is queued and when anything
        it could depend on is edited, so that a heap can keep it."""
        ...


@runtime_checkable
class ByRemaining(Order, Protocol):
    """An order by what is left to do. Where the engine may (`preempt_longer`), a task with less left preempts
    one with more."""

    def key_of(self, entry: Entry, left: int) -> int:
        """Where the task stands with `left` microseconds to go, waiting or running."""
        ...


@runtime_checkable
class ByAttained(Order, Protocol):
    """An order by queues that a task climbs while it runs. Where the engine may (`preempt_attained`), a task in a lower
    queue preempts one in a higher."""

    def queue_of(self, entry: Entry, attained: int) -> int:
        """The queue of a task whose attempts have run for `attained` microseconds; never falls with it."""
        ...

    def service_of(self, entry: Entry, queue: int) -> int | None:
        """The least `attained` with which the task stands in the queue, or None if there is none."""
        ...


@runtime_checkable
class Turns(Protocol):
    """A component whose keys change while tasks wait, because it looks at whose they are.

    A policy may have one. It orders accounts (tenants, runs); within an account what follows it in the policy
    decides.

    Attributes:
        name: As users write it.
        classes: Always False: standings change, so nobody is preempted for them.
        weighted: Accounts are tenants; their weights and their tree count.
        rescales: What a tenant's members hold is scaled as hierarchical DRF has it; else simply added up.
    """

    name: str
    classes: bool
    weighted: bool
    rescales: bool

    def whose(self, task: Task) -> str:
        """The account of the task."""
        ...

    def level(self, account: Account | Branch, ledger: Ledger) -> int:
        """How far ahead the account is; the smallest goes first. Must follow from the account and from the
        capacity alone, and not from the time."""
        ...

    def cost(self, shape: Shape, micros: int, ledger: Ledger, now: int) -> int:
        """What processing time on that shape adds to `Account.service`."""
        ...


def shown(name: str, key: int, now: int) -> str:
    """A key of the named order for a reader; `now` in microseconds."""
    name, _, branch = name.partition(" of ")
    show: Callable[[int, int], str] | None = getattr(orders().get(name), "show", None)
    if branch and show is not None:
        return f"{branch}: {show(key, now)}"
    return f"{name} {key}" if show is None else show(key, now)


@cache
def orders() -> dict[str, Order | Turns]:
    """Every order of this package by name."""
    found: dict[str, Order | Turns] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        order: Order | Turns | None = getattr(importlib.import_module(f"{__name__}.{module}"), "ORDER", None)
        if order is not None:  # else it is what an order is made of
            found[order.name] = order
    return found
