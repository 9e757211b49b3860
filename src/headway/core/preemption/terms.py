"""The terms of preemption, as an operator sets them."""

from __future__ import annotations

import difflib

from headway.core.events import PreemptionSet
from headway.core.preemption.budgets import Disruptions
from headway.core.world import World
from headway.domain.budget import Budget
from headway.domain.units import MILLI
from headway.errors import Invalid

#: What may be preempted -> the engine's settings.
KINDS = {
    "no": {"preempt": False, "preempt_longer": False, "preempt_attained": False},
    "classes": {"preempt": True, "preempt_longer": False, "preempt_attained": False},
    "longer": {"preempt": True, "preempt_longer": True, "preempt_attained": False},
    "attained": {"preempt": True, "preempt_longer": False, "preempt_attained": True},
}


def kind(name: str) -> dict[str, bool]:
    """The settings of one of `KINDS`. Raises Invalid for another."""
    if name in KINDS:
        return KINDS[name]
    close = difflib.get_close_matches(name, KINDS, 1)
    hint = f"did you mean {close[0]!r}? one of: " if close else "one of: "
    raise Invalid(f"no preemption {name!r}", hint=hint + ", ".join(KINDS))


def settle_terms(world: World, event: PreemptionSet) -> None:
    """Takes the event's terms, all or none. Raises Invalid."""
    settings = world.settings
    chosen = kind(event.preempt) if event.preempt is not None else {}
    numbers = {
        "grace": event.grace, "min_run": event.min_run, "max_preemptions": event.max_preemptions,
        "preempt_cost": event.cost, "preempt_margin": event.margin,
    }  # fmt: skip
    for name, value in numbers.items():
        if value is not None and value < 0:
            raise Invalid(f"preemption: {name} of {value}", hint="give 0 or more")
    if event.margin is not None and event.margin >= MILLI:
        raise Invalid(
            f"preemption: a margin of {event.margin} thousandths is all there is", hint="give less than 1000"
        )
    rules = None if event.budgets is None else tuple(Budget.parse(text) for text in event.budgets)
    for name, value in {**chosen, **numbers}.items():
        if value is not None:
            setattr(settings, name, value)
    if rules is not None and rules != world.disruptions.rules:
        world.disruptions = Disruptions(rules)
    for shape in world.queue.shapes:  # what was in vain under the old terms may succeed under these
        shape.search.at = shape.longer.at = 0
