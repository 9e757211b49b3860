"""Nobody takes the place of the one that took its own, unless something new was learned."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.decisions import Preempt
from headway.core.events import AttemptCheckpointed, Outcome
from headway.core.ordering.las import QUEUES
from headway.core.preemption.terms import KINDS
from headway.domain.units import MILLI, SECOND
from tests.builders import Harness, node, task

STEP = st.one_of(
    st.tuples(st.just("offer"), st.integers(1, 60), st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.just("sleep"), st.integers(1, 20)),
    st.tuples(st.just("end"), st.integers(0, 9)),
)


class History:
    """Tasks come with estimates that need not be right, and end when they like; all that leave keep what they did, to the
    microsecond that their estimate says: so nothing new is learned from a checkpoint."""

    def __init__(self, order: str, kind: str) -> None:
        self.h = Harness(
            order=order, train_span=0, min_run=0, max_preemptions=10_000, budgets=(), **KINDS[kind]
        )
        self.h.join(node("n1", cpu=2), node("n2", cpu=1))
        self.count = 0
        self.pairs: list[tuple[str, str]] = []

    def follow(self, steps: list[tuple]) -> None:
        for what, *args in steps:
            if what == "offer":
                seconds, priority, cpu = args
                self.count += 1
                name = f"t{self.count}"
                made = task(name, kind=name, seconds=seconds, priority=priority, cpu=cpu, release=self.h.now)
                self.obey(self.h.offer(made))
            elif what == "sleep":
                self.obey(self.h.sleep(args[0]))
            else:
                running = self.running()
                if running:
                    self.obey(self.h.ended(running[args[0] % len(running)]))

    def running(self) -> list[str]:
        world = self.h.engine.world
        return [m.entry.task.id.partition("/")[2] for m in world.members() if m.started >= 0]

    def obey(self, decisions) -> None:
        """Whoever was placed starts, whoever was asked leaves with all it did, until nothing more is decided."""
        while decisions:
            for d in decisions:
                if isinstance(d, Preempt):
                    self.pairs.append((d.reason["by"], d.task))
                    self.leave(d)
            decisions = self.h.decide()
            starts = [
                m.entry.task.id.partition("/")[2] for m in self.h.engine.world.members() if m.started < 0
            ]
            decisions = decisions + (self.h.started(*starts) if starts else [])

    def leave(self, d: Preempt) -> None:
        entry = self.h.engine.world.tasks[d.task]
        assert entry.member is not None
        ran = self.h.now - entry.member.started
        estimate = entry.task.estimate or 1
        # What it was reckoned to have done, rounded down: never less left than was reckoned.
        done = min(entry.done + ran * MILLI // estimate, MILLI - 1)
        self.h.apply(AttemptCheckpointed(d.task, d.attempt, self.h.now, done))
        self.h.ended(d.task.partition("/")[2], outcome=Outcome.PREEMPTED, took=ran / SECOND)


@settings(max_examples=120, deadline=None)
@given(
    steps=st.lists(STEP, min_size=10, max_size=60),
    order=st.sampled_from(
        ["remaining", "srpt", "priority > srpt", "weighted_remaining", "priority > fcfs", "priority"]
    ),
)
def test_by_class_or_by_what_is_left_no_two_preempt_each_other(steps, order) -> None:
    history = History(order, "longer")
    history.follow(steps)
    seen = set(history.pairs)
    assert not {(by, victim) for by, victim in seen if (victim, by) in seen}
    stopped = Counter(victim for _, victim in history.pairs)
    for pair, times in Counter(history.pairs).items():
        # Twice only if it had to go itself in between, while its former victim found a place where it would not fit.
        assert times <= 1 + stopped[pair[0]] or order.startswith("priority"), pair


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(STEP, min_size=10, max_size=60), order=st.sampled_from(["las > fcfs", "priority > las"])
)
def test_by_what_was_given_places_change_at_most_once_a_queue(steps, order) -> None:
    """New is here what both were given meanwhile: queues are only climbed."""
    history = History(order, "attained")
    longer = [(what, *((args[0] * 40, *args[1:]) if what == "sleep" else args)) for what, *args in steps]
    history.follow(longer)
    for pair in set(history.pairs):
        assert history.pairs.count(pair) < QUEUES or order.startswith("priority")


def test_las_lets_the_newcomer_go_first_and_takes_turns_no_more_than_once_a_queue(drive) -> None:
    h = drive(order="las > fcfs", preempt_attained=True, train_span=0, min_run=0)
    h.join(node(cpu=1))
    h.offer(task("old"))
    h.started("old")
    assert not [d for d in h.sleep(30) if isinstance(d, Preempt)]
    assert not [d for d in h.offer(task("new")) if isinstance(d, Preempt)], "both are in the first queue"
    assert h.engine.wake_at() == 60 * SECOND, "then the old one climbs"
    (found,) = (d for d in h.sleep(30) if isinstance(d, Preempt))
    assert (found.task, found.reason["by"], found.reason["queue"]) == ("r/old", "r/new", 0)
    h.ended("old", outcome=Outcome.PREEMPTED, took=60)
    h.started("new")
    assert not [d for d in h.sleep(100) if isinstance(d, Preempt)], "both are in the second queue"
    assert [d.task for d in h.sleep(140) if isinstance(d, Preempt)] == ["r/new"]


def test_who_came_back_is_left_alone_for_twice_as_long(drive) -> None:
    h = drive(order="priority > fcfs", train_span=0, min_run=10 * SECOND)
    h.join(node(cpu=1))
    h.offer(task("low"))
    for times, seconds in ((0, 10), (1, 20), (2, 40)):
        h.started("low")
        assert not [d for d in h.offer(task(f"high{times}", priority=1)) if isinstance(d, Preempt)]
        assert not [d for d in h.sleep(seconds - 1) if isinstance(d, Preempt)]
        assert [d.task for d in h.sleep(1) if isinstance(d, Preempt)] == ["r/low"]
        h.ended("low", outcome=Outcome.PREEMPTED)
        h.ended(f"high{times}")


def test_a_margin_must_be_met_besides_the_cost(drive) -> None:
    h = drive(
        order="remaining", preempt_longer=True, preempt_cost=10 * SECOND, preempt_margin=200, train_span=0
    )
    h.join(node(cpu=1))
    h.offer(task("a", seconds=110))
    h.started("a")
    h.sleep(10)  # a hundred left, of which eighty count
    assert not [d for d in h.offer(task("b", seconds=70)) if isinstance(d, Preempt)]
    assert [d.task for d in h.offer(task("c", seconds=69)) if isinstance(d, Preempt)] == ["r/a"]
