"""A policy as users write it: orders from the most to the least important, and a discipline.

`priority > srpt` sorts by priority, within one priority by remaining time, and ties by arrival.
"""

from __future__ import annotations

import difflib

from headway.core.branches import STANDING
from headway.core.ordering import LIMIT, WIDTH, Book, ByAttained, ByRemaining, Order, Turns, orders
from headway.core.placement import Scored, placement
from headway.core.state import Entry
from headway.errors import Invalid

#: `strict`: nothing overtakes the head of the line. `skip`: what does not fit is skipped until it does.
#: `backfill`: a place is reserved for the head of the line, and what will have ended by then may go; `easy`:
#: also what the head fits beside.
DISCIPLINES = ("skip", "strict", "backfill", "easy")


class Policy:
    """A composition of orders under a discipline.

    Args:
        text: Orders separated by `>`.
        discipline: One of `DISCIPLINES`.
        place: The name of a placement, see `core.placement`.
        depth: How many levels of tenants there are (`core.branches`).

    Raises:
        Invalid: An unknown order, discipline or placement, an order named twice, or two orders with turns.

    Attributes:
        turns: The order whose keys change while tasks wait, or None. `shift`: bits of a key behind it.
        planned: An order of it follows a plan.
    """

    def __init__(self, text: str, discipline: str = "skip", place: str = "best_fit", depth: int = 1) -> None:
        names = [name.strip() for name in text.split(">")]
        parts = [_order(name, text) for name in names]
        if len(set(names)) < len(names):
            raise Invalid(
                f"policy {text!r} names an order twice", hint=f"write {' > '.join(dict.fromkeys(names))!r}"
            )
        if discipline not in DISCIPLINES:
            close = difflib.get_close_matches(discipline, DISCIPLINES, 1)
            hint = f"did you mean {close[0]!r}? one of: " if close else "one of: "
            raise Invalid(f"no discipline {discipline!r}", hint=hint + ", ".join(DISCIPLINES))
        turns = [part for part in parts if isinstance(part, Turns)]
        if len(turns) > 1:
            raise Invalid(
                f"policy {text!r} has {turns[0].name!r} and {turns[1].name!r}",
                hint="a policy may have one order of tenants or runs; leave one of them out",
            )
        self.placement = placement(place)
        #: Whether the placement looks at the tasks to be expected.
        self.mixed = isinstance(self.placement, Scored) and self.placement.mixed
        self.text = " > ".join(names)
        self.discipline = discipline
        self.strict = discipline == "strict"
        self.backfill = discipline in ("backfill", "easy")
        self.beside = discipline == "easy"
        self.turns = turns[0] if turns else None
        self.planned = any(getattr(part, "planned", False) for part in parts)
        split = parts.index(turns[0]) if turns else len(parts)
        self._before: list[Order] = [part for part in parts[:split] if not isinstance(part, Turns)]
        self._first: Order | None = self._before[0] if self._before else None
        self._rest = self._before[1:]
        self._behind: list[Order] = [part for part in parts[split:] if not isinstance(part, Turns)]
        self.shift = WIDTH * len(self._behind)
        #: The last bits of a key, which decide least: without turns and with more than two orders.
        self.coarse = WIDTH * max(len(self._before) - 2, 0)
        self.depth = depth if self.turns is not None and self.turns.weighted else 1
        self._standing = STANDING * self.depth if turns else 0
        span = self.shift + self._standing
        self._boost = span + WIDTH * len(self._before) + 1
        classes = 0
        while classes < len(self._before) and self._before[classes].classes:
            classes += 1
        #: How many of the leading orders are classes; none: nothing preempts.
        self.classes = classes
        self._below = span + WIDTH * (len(self._before) - classes)
        after = self._before[classes] if classes < len(self._before) else None
        #: What comes right after the classes, if it orders by what is left to do: within a class a task may then
        #: preempt one that has more left.
        self.by_remaining: ByRemaining | None = after if isinstance(after, ByRemaining) else None
        #: The same for queues of attained service.
        self.by_service: ByAttained | None = after if isinstance(after, ByAttained) else None

    def key(self, entry: Entry, book: Book) -> int:
        """Where a task stands, packed into one integer so that a heap compares once; smaller goes first.

        A boost by an override lifts it before everything that is boosted less. Where the turn stands there
        are zeros: `TurnQueue.full` puts the standing there.
        """
        key = 0
        if self._first is not None:
            key = self._first.key(entry, book)
            if not -LIMIT <= key <= LIMIT:
                key = LIMIT if key > 0 else -LIMIT
            for part in self._rest:
                more = part.key(entry, book)
                key = key << WIDTH | (more if 0 <= more <= LIMIT else LIMIT if more > 0 else 0)
        if self.turns is not None:
            key <<= self._standing
            for part in self._behind:
                more = part.key(entry, book)
                key = key << WIDTH | (more if 0 <= more <= LIMIT else LIMIT if more > 0 else 0)
        return key - (entry.boost << self._boost) if entry.boost else key

    def rank(self, key: int, boost: int) -> int:
        """The class that a task of this key preempts and is preempted by; smaller is better.

        All are equal where nothing preempts. A boost changes the place in line, never the class.
        """
        if not self.classes:
            return 0
        return (key + (boost << self._boost) if boost else key) >> self._below

    def parts_of(self, entry: Entry, book: Book) -> tuple[tuple[str, int], ...]:
        """The key by component, for explanations."""
        found = [("boost", entry.boost)] if entry.boost else []
        found += [(part.name, part.key(entry, book)) for part in self._before]
        if self.turns is not None:
            name = self.turns.name
            found += [(f"{name} of {branch}", level) for branch, level in book.branches(entry)]
            found.append((name, book.level(entry)))
        found += [(part.name, part.key(entry, book)) for part in self._behind]
        return tuple(found)


def _order(name: str, text: str) -> Order | Turns:
    known = orders()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? known: " if close else "known: "
    raise Invalid(f"no order {name!r} in policy {text!r}", hint=hint + ", ".join(sorted(known)))
