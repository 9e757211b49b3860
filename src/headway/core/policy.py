"""A policy as users write it: orders from the most to the least important, and a discipline.

`priority > srpt` sorts by priority, within one priority by remaining time, and ties by arrival.
"""

from __future__ import annotations

import difflib

from headway.core.ordering import LIMIT, WIDTH, Book, Order, orders
from headway.core.state import Entry
from headway.errors import Invalid

#: `strict`: nothing overtakes the head of the line. `skip`: what does not fit is skipped until it does.
DISCIPLINES = ("skip", "strict")


class Policy:
    """A composition of orders under a discipline.

    Args:
        text: Orders separated by `>`.
        discipline: One of `DISCIPLINES`.

    Raises:
        Invalid: An unknown order or discipline, or an order named twice.
    """

    def __init__(self, text: str, discipline: str = "skip") -> None:
        names = [name.strip() for name in text.split(">")]
        self.parts: tuple[Order, ...] = tuple(_order(name, text) for name in names)
        if len(set(names)) < len(names):
            raise Invalid(
                f"policy {text!r} names an order twice", hint=f"write {' > '.join(dict.fromkeys(names))!r}"
            )
        if discipline not in DISCIPLINES:
            raise Invalid(f"no discipline {discipline!r}", hint=f"one of: {', '.join(DISCIPLINES)}")
        self.text = " > ".join(names)
        self.discipline = discipline
        self.strict = discipline == "strict"
        self._boost = WIDTH * len(names) + 1
        classes = 0
        while classes < len(self.parts) and self.parts[classes].classes:
            classes += 1
        #: How many of the leading orders are classes; none: nothing preempts.
        self.classes = classes
        self._below = WIDTH * (len(names) - classes)

    def key(self, entry: Entry, book: Book) -> int:
        """Where a task stands, packed into one integer so that a heap compares once; smaller goes first.

        A boost by an override lifts it before everything that is boosted less.
        """
        first, *rest = self.parts
        key = max(-LIMIT, min(first.key(entry, book), LIMIT))
        for part in rest:
            key = key << WIDTH | max(0, min(part.key(entry, book), LIMIT))
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
        boost = (("boost", entry.boost),) if entry.boost else ()
        return (*boost, *((part.name, part.key(entry, book)) for part in self.parts))


def _order(name: str, text: str) -> Order:
    known = orders()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}? known: " if close else "known: "
    raise Invalid(f"no order {name!r} in policy {text!r}", hint=hint + ", ".join(sorted(known)))
