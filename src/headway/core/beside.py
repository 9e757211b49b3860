"""Tasks that ask something of others, in the world: what changes when one of them comes or goes (`placement.company`)."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from headway.core.admission.outlook import Outlook
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.ask import Ask
    from headway.core.placement.space import Space
    from headway.core.queue import Shape
    from headway.core.world import World
    from headway.domain.task import Task


def shape_of(world: World, ask: Ask) -> Shape:
    """The shape of an ask with bonds: its own, one that nobody needs any more, or a new one."""
    queue, company = world.queue, world.company
    found = queue.known(ask)
    if found is not None:
        if found.bond is None:
            company.revive(found)
        return found
    # What arrived in this decision is looked at once more at its end, by number.
    used = chain(
        (entry.shape for entry in world.tasks.values()),
        (lease.shape for lease in world.leases.values()),
        queue.arrived.values(),
    )
    shape = company.spare(ask, used)
    if shape is None:
        shape = queue.shape(ask)
    else:
        queue.rename(shape, ask)
    world.gates.know(shape)
    company.know(shape)
    return shape


def plain(world: World, shape: Shape) -> Shape:
    """The shape that asks the same of nodes, and nothing of others: what is to be expected is reckoned by it."""
    return shape if shape.bond is None else world.interned(replace(shape.ask, bonds=None))


def count(world: World, space: Space, shape: Shape, sign: int) -> None:
    """A lease or claim of the shape begins (1) or is over (-1) on the node: who looks at its group is tried again."""
    for other in world.company.count(space, shape, sign):
        look_again(world, other)


def look_again(world: World, shape: Shape) -> None:
    """Where the shape may be has changed."""
    world.nodes.forget(shape)
    world.queue.unpark(shape)
    world.outlook = Outlook()


def moved(world: World) -> None:
    """Nodes came, went or changed, or the levels did: every place is another."""
    company = world.company
    company.recount(world.leases.values(), world.claims.values())
    company.stirred = True
    for shape in company.shapes.values():
        look_again(world, shape)


def barred(world: World, shape: Shape) -> bool:
    """Whether no node may have the shape as things are, whatever comes free: then nobody waits behind its head."""
    return shape.bond is not None and not any(
        not space.gone and space.admits(shape) for space in world.nodes.all
    )


def refuse_nonsense(task: Task) -> None:
    """Raises Invalid for a task that could not be judged by its bonds."""
    also = "is a member of a gang" if task.gang is not None else "has variants" if task.variants else ""
    if also:
        raise Invalid(
            f"task {task.id} {also}, and has a group or rules about others", hint="drop one of the two"
        )
