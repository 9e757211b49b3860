"""Memory of devices: a share takes at least the part of a device that its memory is of the device's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.core.engine import Engine
from headway.core.events import NodeJoined
from headway.core.placement import placements
from headway.domain.resources import Demand
from headway.domain.units import parse_bytes
from headway.errors import Invalid
from tests.builders import Harness, node, placed, preempted, started, task

GIB = 1 << 30


def shares(name: str, gpu: float, memory: int, **fields: Any):
    return task(name, cpu=fields.pop("cpu", 0), gpu=gpu, other={"gpu_memory": f"{memory}GiB"}, **fields)


def test_a_device_gives_no_more_memory_than_it_has(drive) -> None:
    h = drive(order="fcfs", train_span=0)
    h.join(node("a", gpus=2, gpu_memory="80GiB"))
    assert placed(h.offer(*(shares(f"t{i}", 0.1, 30) for i in range(5)))) == ["t0", "t1", "t2", "t3"]
    text = h.engine.why("r/t4", h.now).text()
    assert "asks for cpu 0, gpu 0.1, gpu_memory 30 GiB" in text
    assert "of 1 nodes: 1 by gpu_memory" in text
    assert "a: gpu_memory asked 30 GiB, free 20 GiB" in text
    # Half a device has half its memory, whoever says nothing of memory.
    assert placed(h.offer(task("half", gpu=0.5))) == []
    assert placed(h.offer(task("quarter", gpu=0.25))) == ["quarter"]
    h.started("t0")
    assert "half" in placed(h.ended("t0")) + placed(h.ended("t2")) + placed(h.ended("t3"))


def test_whole_devices_must_be_large_enough(drive) -> None:
    h = drive(train_span=0)
    h.join(
        node("small", gpus=4, gpu_memory="16GiB"),
        node("large", gpus=1, gpu_memory="80GiB"),
        node("mute", gpus=8),
    )
    assert started(h.offer(shares("x", 1, 40), shares("y", 1, 40))) == [("x", "large")]
    assert h.engine.why("r/y", h.now).facts["blocked"] == {"gpu_memory (too small)": 2, "gpu": 1}


def test_victims_are_those_whose_memory_is_missing(drive) -> None:
    h = drive(order="priority", min_run=0, train_span=0)
    h.join(node("a", gpus=1, gpu_memory="40GiB"))
    h.offer(shares("big", 0.1, 24), shares("small", 0.1, 8))
    h.started("big", "small")
    assert preempted(h.offer(shares("high", 0.1, 20, priority=5))) == ["big"]
    assert Engine.restore(h.engine.snapshot()).snapshot() == h.engine.snapshot()


def test_devices_with_other_memory_hold_another_part(drive) -> None:
    h = drive(train_span=0)
    h.join(node("a", gpus=1, gpu_memory="80GiB"))
    h.offer(shares("x", 0.1, 40))
    space = h.engine.world.nodes.by_name["a"]
    assert space.devices == [500]
    h.apply(NodeJoined(node("a", gpus=1, gpu_memory="50GiB"), "i1"))
    assert space.devices == [200]
    h.apply(NodeJoined(node("a", gpus=1, gpu_memory="32GiB"), "i1"))
    assert space.devices == [0]
    h.ended("x")
    assert space.devices == [1000]


def test_a_quota_counts_the_memory_of_all_devices() -> None:
    assert Demand.parse(gpu=2, other={"gpu_memory": "40GiB"}).named == (("gpu_memory", 80 * GIB),)
    with pytest.raises(Invalid, match="gpu_memory is asked of no device"):
        Demand.parse(other={"gpu_memory": "40GiB"})


ASKED = st.tuples(st.integers(1, 1000), st.integers(0, 48), st.integers(0, 2))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(ASKED, min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([0, 16, 40, 80])), min_size=1, max_size=3),
    st.sampled_from(sorted(placements())),
    st.sampled_from(["skip", "backfill"]),
    st.lists(st.integers(0, 19), max_size=12),
)
def test_no_device_is_ever_exceeded_and_no_room_is_missed(
    asked: list[Any], cluster: list[Any], placement: str, discipline: str, ends: list[int]
) -> None:
    h = Harness(order="priority > fcfs", placement=placement, discipline=discipline, train_span=0, min_run=0)
    h.join(*(node(f"n{i}", gpus=gpus, gpu_memory=f"{vram}GiB") for i, (gpus, vram) in enumerate(cluster)))
    size = {f"n{i}": vram * GIB for i, (_, vram) in enumerate(cluster)}

    def look() -> None:
        held: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for lease in h.engine.world.leases.values():
            demand = lease.shape.demand
            memory = dict(demand.other).get("gpu_memory", 0)
            for device in lease.devices:
                held.setdefault((lease.space.name, device), []).append((min(demand.gpu, 1000), memory))
        for (where, _), parts in held.items():
            assert sum(share for share, _ in parts) <= 1000
            # Who says nothing of memory has as much of it as of the device.
            assert (
                sum(memory or share * size[where] // 1000 for share, memory in parts) <= size[where]
                or not size[where]
            )
        for shape in h.engine.world.queue.shapes:
            if discipline == "skip" and shape.count and not h.engine.world.claims:
                for space in h.engine.world.nodes.all:
                    need = max(shape.share, -(-shape.vram * 1000 // space.vram) if space.vram else 0)
                    large = shape.vram <= space.vram
                    idle = space.devices.count(1000)
                    fits = idle >= shape.whole if shape.whole else max(space.devices) >= need
                    assert not (large and fits), f"{shape.demand} fits {space.name}"

    for number, (milli, memory, priority) in enumerate(asked):
        gpu = 1 if milli > 900 else milli / 1000
        other = {"gpu_memory": memory * GIB} if memory else {}
        h.offer(task(f"t{number}", cpu=0, gpu=gpu, other=other, priority=priority))
        look()
    for end in ends:
        entry = h.engine.world.tasks.get(f"r/t{end}")
        if entry is not None and entry.member is not None:
            h.ended(f"t{end}")
            look()


def test_bytes_are_read_as_everywhere() -> None:
    assert Demand.parse(gpu=0.5, other={"gpu_memory": "20GiB"}).other == (
        ("gpu_memory", parse_bytes("20GiB")),
    )
    assert str(Demand.parse(gpu=0.5, other={"gpu_memory": "20GiB"})) == "cpu 1, gpu 0.5, gpu_memory 20 GiB"
