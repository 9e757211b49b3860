"""A policy to try, as a person writes it: `priority > srpt, strict, preempt=no`."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from headway.core.engine import Engine
from headway.core.policy import DISCIPLINES
from headway.domain.units import parse_time
from headway.errors import Invalid

#: Settings of the engine that may follow the orders, and how each is read.
_TIMES = ("train_span", "grace", "min_run")
_SETTINGS = ("preempt", *_TIMES, "max_preemptions")


@dataclass(frozen=True, slots=True)
class Choice:
    """Orders, a discipline, and what else the engine is told.

    Attributes:
        label: As it was written.
        settings: Keyword arguments of `Engine`.
    """

    order: str
    discipline: str = "skip"
    settings: tuple[tuple[str, Any], ...] = ()
    label: str = ""

    @classmethod
    def parse(cls, text: str) -> Choice:
        """From `ORDER > ORDER, DISCIPLINE, SETTING=VALUE`. Raises Invalid naming what is wrong."""
        order, *rest = (part.strip() for part in text.split(","))
        discipline, settings = "skip", {}
        for part in rest:
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals and name in DISCIPLINES:
                discipline = name
            elif equals and name in _SETTINGS:
                settings[name] = _value(name, value, text)
            else:
                known = [*DISCIPLINES, *(f"{setting}=" for setting in _SETTINGS)]
                close = difflib.get_close_matches(part, known, 1)
                raise Invalid(
                    f"policy {text!r}: {part!r} is neither a discipline nor a setting",
                    hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
                )
        made = cls(order, discipline, tuple(settings.items()), ", ".join([order, *rest]))
        made.engine()  # an unknown order is refused here, before anything runs
        return made

    def engine(self) -> Engine:
        """The production engine under this policy."""
        return Engine(self.order, self.discipline, **dict(self.settings))

    @property
    def name(self) -> str:
        """For reports."""
        return self.label or f"{self.order}, {self.discipline}"


def _value(name: str, value: str, text: str) -> Any:
    if name == "preempt":
        if value not in ("yes", "no"):
            raise Invalid(f"policy {text!r}: preempt={value}", hint="write preempt=yes or preempt=no")
        return value == "yes"
    if name in _TIMES:
        return parse_time(value, name)
    if not value.isdigit():
        raise Invalid(f"policy {text!r}: {name}={value} is not a count", hint=f"write {name}=3")
    return int(value)
