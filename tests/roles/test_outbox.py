"""What a role keeps until every receiver has committed it."""

from headway.roles.outbox import Outbox
from headway.roles.step import Output


def output(
    stream: str = "nodes", audience: tuple[str, ...] = ("planner", "scheduler"), epoch: int = 0
) -> Output:
    return Output(stream, audience, "nodes", b"{}", epoch)


def put(outbox: Outbox, *outputs: Output) -> list[int]:
    numbered = outbox.number(outputs)
    for seq, item in numbered:
        outbox.keep(seq, item)
    return [seq for seq, _ in numbered]


def kept(outbox: Outbox) -> list[tuple[str, int]]:
    return [(item.stream, seq) for seq, item in outbox.unacknowledged()]


def test_numbers_count_per_stream_from_one() -> None:
    outbox = Outbox(7)
    assert put(outbox, output("a"), output("b"), output("a")) == [1, 1, 2]
    assert {item.epoch for _, item in outbox.unacknowledged()} == {7}


def test_an_output_is_kept_until_the_slowest_member_has_it() -> None:
    outbox = Outbox(7)
    put(outbox, output(), output(), output())
    outbox.acked("nodes", "planner", 7, 3)
    assert kept(outbox) == [("nodes", 1), ("nodes", 2), ("nodes", 3)]
    outbox.acked("nodes", "scheduler", 7, 2)
    assert kept(outbox) == [("nodes", 3)]


def test_an_acknowledgement_of_another_epoch_or_an_older_one_changes_nothing() -> None:
    outbox = Outbox(7)
    put(outbox, output(audience=("planner",)), output(audience=("planner",)))
    outbox.acked("nodes", "planner", 6, 2)
    assert len(kept(outbox)) == 2
    outbox.acked("nodes", "planner", 7, 2)
    outbox.acked("nodes", "planner", 7, 1)
    assert kept(outbox) == []


def test_a_new_epoch_begins_at_one_and_drops_what_was_meant_for_the_old() -> None:
    outbox = Outbox(7)
    put(outbox, output("executor-a", ("executor-a",), 100), output("executor-a", ("executor-a",), 100))
    assert put(outbox, output("executor-a", ("executor-a",), 200)) == [1]
    assert [item.epoch for _, item in outbox.unacknowledged()] == [200]


def test_marks_are_taken_once() -> None:
    outbox = Outbox(7)
    put(outbox, output())
    outbox.acked("nodes", "planner", 7, 1)
    assert outbox.take_marks() == {("nodes", "planner"): (7, 1)}
    assert outbox.take_marks() == {}


def test_a_snapshot_carries_numbers_marks_and_what_is_kept() -> None:
    before = Outbox(7)
    put(before, output(), output())
    before.acked("nodes", "planner", 7, 2)
    before.acked("nodes", "scheduler", 7, 1)
    after = Outbox(7)
    after.restore(before.snapshot())
    assert kept(after) == [("nodes", 2)]
    assert put(after, output()) == [3]
    after.acked("nodes", "scheduler", 7, 3)
    after.acked("nodes", "planner", 7, 3)
    assert kept(after) == []
