"""What the engine learns from a task that finished, and what is known of one that waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from headway.core.capacity.estimates import Known
from headway.core.events import InputKnown
from headway.domain.task import reads
from headway.domain.units import MILLI

if TYPE_CHECKING:
    from headway.core.state import Entry, Member
    from headway.core.world import World


def finished(world: World, member: Member, took: int) -> None:
    """An attempt finished after `took` microseconds where it was.

    One that went on from a checkpoint shows what a restart takes, if it is known what was left; of how long its kind takes
    it says something only without that.
    """
    entry, family, paces = member.entry, member.entry.family, world.nodes.paces
    place = member.lease.space.index
    measured = paces.learned is not None and paces.samples(entry.task.kind, place) is not None
    if measured and (entry.task.estimate is not None or family.count):
        # What is reckoned with is of nodes whose speed is said: this one is measured by it, and teaches nothing else.
        paces.learn(entry.task.kind, world.remaining(entry), took, world.sources(entry.task), place)
        return
    if paces.known:
        took = world.work(member, took)
    left = MILLI - entry.done  # what this attempt had to do; 0 if the checkpoint held it all
    if entry.done and (entry.task.estimate is not None or family.count):
        family.learn_restart(took - world.remaining(entry))
    if left:
        done = max(took - world.restart(entry), 0) if entry.done else took
        size = reads(entry.task) if entry.task.inputs else 0
        world.estimates.learn(family, done * MILLI // left, world.settings.train_span, size)


def said(entry: Entry) -> int | None:
    """The processing time of the whole task as its author said it, else as those of its kind show it that read about as
    much, else None."""
    if entry.task.estimate is not None or entry.family.sizes is None:
        return entry.task.estimate
    size = reads(entry.task)
    return entry.family.sizes.median(size) if size else None


def known(world: World, entry: Entry) -> Known:
    """Where the processing time comes from that the whole task is reckoned with."""
    return world.estimates.known(entry.family, entry.task.estimate, reads(entry.task))


def input_known(world: World, event: InputKnown) -> None:
    """A result that the task reads is there. The task waits for it, or rides behind it: its size ranked nobody yet."""
    entry = world.tasks.get(event.task)
    if entry is None:
        world.stale += 1
        return
    others = tuple(pair for pair in entry.task.inputs if pair[0] != event.producer)
    entry.task = replace(entry.task, inputs=(*others, (event.producer, event.size)))
