"""What history teaches."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headway.core.capacity.by_size import FEW, BySize, upper
from headway.core.capacity.estimates import LONGEST_TRAIN, UNKNOWN, WINDOW, Estimates, Family
from headway.core.engine import Engine
from headway.core.events import InputKnown
from headway.domain.resources import Demand
from headway.domain.units import SECOND
from tests.builders import node, placed, task

TIMES = st.lists(st.integers(0, 10**9), min_size=1, max_size=80)


def family() -> Family:
    return Family(0, "k", Demand())


@given(TIMES, st.integers(1, 1000))
def test_a_quantile_is_one_of_the_last_and_splits_them(times: list[int], milli: int) -> None:
    f = family()
    for took in times:
        f.learn(took, 50_000)
    found, recent = f.quantile(milli), times[-WINDOW:]
    assert found in recent
    assert sum(t <= found for t in recent) * 1000 >= milli * len(recent)
    assert sum(t < found for t in recent) * 1000 < milli * len(recent)


@given(TIMES)
def test_the_mean_stays_within_what_was_seen(times: list[int]) -> None:
    f = family()
    for took in times:
        f.learn(took, 50_000)
    assert min(times) - 1 <= f.mean <= max(times)


@given(st.lists(st.booleans(), max_size=300))
def test_the_cap_doubles_on_evidence_and_starts_over_with_a_long_one(short: list[bool]) -> None:
    f = family()
    for one in short:
        before = f.cap
        f.learn(10 if one else 10**6, 50_000)
        assert f.cap == 1 if not one else f.cap in (before, min(2 * before, LONGEST_TRAIN))
    run = 0
    for one in reversed(short):
        if not one:
            break
        run += 1
    assert f.cap <= max(1, run + 1)


def test_what_to_reckon_with() -> None:
    estimates = Estimates()
    known, new = estimates.family("a", Demand()), estimates.family("b", Demand())
    assert estimates.total(new, None) == UNKNOWN
    for took in (100, 300, 200):
        estimates.learn(known, took, 50)
    assert estimates.total(known, None) == 200
    assert estimates.total(known, 7) == 7
    assert estimates.total(new, None) == estimates.overall
    assert estimates.remaining(known, 1000, 900) == 100
    assert estimates.remaining(known, 1000, 1000) == 1


# ── by input size ───────────────────────────────────────────────────────────────────────────────────────────

SIZED = st.lists(st.tuples(st.integers(1, 1 << 40), st.integers(1, 10**9)), max_size=120)


@given(SIZED, st.integers(1, 1 << 41), st.integers(1, 1 << 41))
def test_what_reads_more_is_never_reckoned_to_take_less(rows: list[tuple[int, int]], a: int, b: int) -> None:
    known = BySize()
    for size, took in rows:
        known.learn(size, took)
    less, more = known.median(min(a, b)), known.median(max(a, b))
    if less is None or more is None:
        assert less is more is None
        counts = Counter(size.bit_length() for size, _ in rows)
        assert all(count < FEW for count in counts.values())
        return
    assert less <= more
    seen = [took for _, took in rows]
    assert min(seen) <= less <= more <= max(seen)
    again = BySize()
    again.fill(json.loads(json.dumps(known.tree())))
    assert (again.median(a), again.median(b)) == (known.median(a), known.median(b))


def test_each_size_has_its_own_time_and_between_two_lies_a_line() -> None:
    known = BySize()
    for took in (90, 100, 110):
        known.learn(1 << 20, took)
        known.learn(1 << 24, 16 * took)
    assert known.median(3 << 19) == 100  # of the same power of two
    assert known.median(1 << 24) == 1600
    assert known.median((1 << 21) + (7 << 20)) == 100 + 1500 * 7 // 14
    assert known.median(1) == 100
    assert known.median(1 << 40) == 1600  # nothing is made up about what nobody has seen


def test_neighbours_whose_times_fall_with_size_are_one() -> None:
    known = BySize()
    for took in (100, 100, 100):
        known.learn(1 << 20, 3 * took)
        known.learn(1 << 21, took)
        known.learn(1 << 22, 5 * took)
    assert [(pool.low, pool.high, len(pool.times)) for pool in known.pools()] == [
        (1 << 20, 1 << 22, 6),
        (1 << 22, 1 << 23, 3),
    ]


def test_few_samples_widen_what_nine_in_ten_take() -> None:
    assert upper([10], 900) == 50  # one known: five times as long
    assert upper([10, 10], 900) == 33
    assert upper([10] * 4, 900) == 20
    assert upper([10] * 9, 900) == 10
    assert upper(list(range(1, 20)), 900) == 18
    assert upper([7], 500) == 7


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=40), st.integers(1, 999))
def test_the_upper_end_holds_as_many_as_it_says(times: list[int], milli: int) -> None:
    """Of n times, each as likely to be the next: at most a share of 1 - q lies above what the others say, if they are
    enough to say so."""
    found = upper(sorted(times), milli)
    assert found >= min(times)
    if (len(times) + 1) * milli <= len(times) * 1000:
        assert found in times
    above = 0
    for index, next_one in enumerate(times):
        others = sorted(times[:index] + times[index + 1 :])
        above += bool(others) and next_one > upper(others, milli)
    if len(times) * milli <= (len(times) - 1) * 1000:
        assert above * 1000 <= len(times) * (1000 - milli)


def test_the_engine_learns_by_what_results_hold(drive) -> None:
    """Small and large inputs in turn, nothing said: the short one goes first, and `why` says from how much that is known."""
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    for number in range(4):
        for size, took in ((1 << 21, 1), (1 << 30, 60)):
            h.offer(task(f"made{number}-{size}", kind="make"))
            h.ended(f"made{number}-{size}", took=1)
            h.offer(task(f"use{number}-{size}", inputs=((f"r/made{number}-{size}", size),)))
            h.ended(f"use{number}-{size}", took=took)
    h.offer(task("busy", kind="make"), task("makes", kind="make", seconds=9))
    h.offer(task("large", inputs=(("r/made0", 1 << 30),)), task("waits", after=["busy"]))
    h.apply(InputKnown("r/waits", "r/busy", 3 << 20), InputKnown("r/nobody", "r/busy", 1))
    assert h.engine.counts()["stale"] == 1
    told = h.engine.why("r/large", h.now)
    assert told.facts["reckoned"] == {
        "micros": 60 * SECOND, "origin": "size", "samples": 4, "most": 120 * SECOND, "reads": 1 << 30,
    }  # fmt: skip
    assert (
        "reckoned to take 1 min, by 1 GiB of input (learned from 4 samples; nine in ten in"
        in told.text()
    )
    again = Engine.restore(json.loads(json.dumps(h.engine.snapshot())))
    assert again.why("r/large", h.now) == told
    assert h.engine.world.remaining(h.engine.world.tasks["r/waits"]) == SECOND
    assert placed(h.ended("busy")) == ["waits"]


def test_why_is_honest_about_what_is_not_known(drive) -> None:
    h = drive(order="srpt", train_span=0)
    h.join(node(cpu=1))
    h.offer(task("a"), task("said", seconds=5))
    assert "reckoned to take 10.0 s: nothing was said of it" in h.engine.why("r/a", h.now).text()
    assert "reckoned" not in h.engine.why("r/said", h.now).text()
    h.ended("said", took=2)
    h.offer(task("b"), task("c", kind="other"))
    assert "learned from 1 sample; nine in ten in 10.0 s at most" in h.engine.why("r/b", h.now).text()
    assert "2.0 s, the mean of all kinds" in h.engine.why("r/c", h.now).text()
