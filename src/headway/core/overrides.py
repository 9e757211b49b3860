"""Overrides in force: what people and agents have laid over the policy, until when."""

from __future__ import annotations

from headway.domain.override import Override
from headway.domain.task import Task
from headway.errors import Invalid

KINDS = ("boost", "hold", "pin", "pause")


class Overrides:
    """In the order they were applied.

    Attributes:
        active: By id.
    """

    def __init__(self) -> None:
        self.active: dict[str, Override] = {}

    def on(self, task: Task) -> tuple[bool, str, int]:
        """What lies on a task.

        Returns:
            Whether it is held; the node it is pinned to, or empty (the latest pin wins); how far it is
            boosted (the highest).
        """
        hold, pin, boost = False, "", 0
        for override in self.active.values():
            if not concerns(override, task.id):
                continue
            if override.kind in ("hold", "pause"):
                hold = True
            elif override.kind == "pin":
                pin = override.node
            else:
                boost = max(boost, override.amount)
        return hold, pin, boost

    def expired(self, now: int) -> list[Override]:
        """Those whose time is over."""
        return [one for one in self.active.values() if one.expires <= now and one.kind != "pause"]

    def next_expiry(self) -> int | None:
        """When the next one ends by itself, or None."""
        return min((one.expires for one in self.active.values() if one.kind != "pause"), default=None)


def concerns(override: Override, task: str) -> bool:
    """Whether the override's target is the task, the map it is an item of, or its run."""
    target = override.target
    return task == target or (task.startswith(target) and task[len(target) : len(target) + 1] in ("/", "["))


def checked(override: Override) -> Override:
    """Refuses an override that means nothing."""
    if override.kind not in KINDS:
        raise Invalid(f"no override {override.kind!r}", hint=f"one of: {', '.join(KINDS)}")
    if override.kind == "pin" and not override.node:
        raise Invalid(
            f"override {override.id}: a pin names no node", hint="give node=, the one the task may run on"
        )
    if override.kind == "boost" and override.amount < 1:
        raise Invalid(f"override {override.id}: a boost of {override.amount}", hint="give amount= 1 or more")
    return override
