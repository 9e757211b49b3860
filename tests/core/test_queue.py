"""The line: the first parked head for a freed node is the one that looking at every head would find."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.ask import Ask
from headway.core.capacity.estimates import Family
from headway.core.placement.best_fit import PLACEMENT
from headway.core.placement.space import Space
from headway.core.queue import ONE_BY_ONE, Queue
from headway.core.state import Entry
from tests.builders import demand, node, task

#: Of one order, of two, of boosted tasks; far from one another and equal in all but the last bits.
KEYS = st.one_of(
    st.integers(0, 60),
    st.integers(0, 3).map(lambda high: high << 56),
    st.integers(-(1 << 70), 1 << 70),
    st.integers(0, 3).map(lambda high: (1 << 130) + high),
)
ASKED = st.tuples(
    st.integers(1, 6),
    st.sampled_from([0, 0.25, 1, 3]),
    st.integers(0, 3),
    st.sampled_from(["", "", "n1", "n2"]),
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(ASKED, KEYS), min_size=ONE_BY_ONE + 6, max_size=150),
    st.lists(st.integers(0, 149), max_size=40),
    st.sampled_from([0, 56]),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_the_first_parked_head_that_fits(asked, leaving, coarse: int, cpu: int, gpus: int) -> None:
    queue = Queue(coarse)
    entries = []
    for number, ((cores, gpu, memory, pin), key) in enumerate(asked):
        # Every one of another shape: memory tells them apart.
        made = task(f"t{number}", cpu=cores, gpu=gpu, memory=memory * 1000 + number)
        shape = queue.shape(Ask(made.demand, pin))
        entry = Entry(made, number, Family(0, "k", demand()), shape)
        queue.push(entry, key)
        queue.park(shape)
        entries.append(entry)
    for index in leaving:
        if index < len(entries) and entries[index].item is not None:
            queue.remove(entries[index])
    space = Space(0, node("n1", cpu=cpu, gpus=gpus, memory=3000), "", PLACEMENT)
    fitting = [slot for slot in queue.parked if space.fits(slot[2])]
    assert queue.first_parked(space) == min(fitting, default=None)
