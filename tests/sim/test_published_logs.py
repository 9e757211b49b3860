"""A batch log and a gang trace as they were published, inline: a clone alone checks them (`benchmarks/references` the rest).

The stretch of Lublin-1 (DIR-LAB/deep-batch-scheduler, SC'20) is the one with the longest waits; who starts when is worked
out beside the engine by the table's rules. The gang trace is whole (SymbioticLab/Tiresias, NSDI'19, Apache-2.0), with
its published means.
"""

from __future__ import annotations

import pytest

from headway.domain.units import SECOND
from headway.sim.cluster import uniform
from headway.sim.records import Rules
from headway.sim.simulate import simulate
from tests.sim.builders import job, trace

PROCESSORS = 256
#: Submitted, run time (and requested: this log has them equal), processors; jobs 780 to 811 of those that ran at all.
LUBLIN = [
    (738947, 75206, 128), (738956, 10235, 128), (738983, 11724, 128), (752486, 28, 3), (752551, 31, 4), (756859, 6819, 16),
    (757061, 34, 1), (757199, 34252, 8), (757413, 1876, 32), (757438, 36702, 256), (757492, 322, 4), (757509, 7, 1),
    (758086, 2, 32), (758205, 12873, 16), (758391, 5597, 256), (758411, 3859, 4), (758426, 8911, 2), (758542, 3, 32),
    (758552, 21038, 256), (760387, 22, 14), (760573, 161, 1), (760753, 144, 1), (760775, 12841, 13), (760872, 1916, 32),
    (761394, 13, 16), (761691, 138, 64), (761703, 43, 4), (761900, 61, 1), (761956, 67, 1), (761998, 20251, 1),
    (762169, 9611, 1), (762305, 39, 3),
]  # fmt: skip
#: GPUs, submitted, run time, of jobs 0 to 59, on 16 GPUs.
GANGS = [
    (1, 0, 164), (8, 30, 147), (2, 53, 127), (1, 79, 121), (4, 99, 121), (8, 132, 138), (1, 176, 121), (2, 204, 124),
    (2, 227, 155), (1, 252, 126), (1, 282, 230), (1, 311, 368), (2, 337, 131), (8, 363, 196), (1, 401, 121), (1, 434, 180),
    (4, 471, 143), (2, 504, 122), (1, 531, 189), (1, 554, 125), (1, 583, 536), (2, 611, 126), (1, 645, 123), (8, 680, 121),
    (4, 707, 121), (1, 733, 121), (1, 761, 121), (8, 793, 121), (1, 827, 152), (1, 861, 121), (1, 892, 141), (1, 918, 121),
    (8, 944, 125), (1, 973, 121), (8, 1008, 305), (4, 1042, 121), (4, 1067, 123), (1, 1100, 121), (2, 1139, 121),
    (1, 1165, 121), (1, 1194, 122), (2, 1223, 123), (1, 1248, 263), (1, 1274, 209), (1, 1315, 158), (2, 1347, 121),
    (1, 1381, 121), (8, 1414, 121), (8, 1447, 126), (1, 1471, 1800), (4, 1499, 126), (1, 1537, 130), (4, 1580, 121),
    (1, 1612, 121), (4, 1644, 171), (8, 1676, 135), (2, 1701, 133), (4, 1729, 128), (4, 1750, 122), (1, 1779, 122),
]  # fmt: skip


def by_the_rules(shortest: bool, backfill: bool) -> list[int]:
    """When each job of the stretch starts: the first of the order is waited for, whoever comes meanwhile; a later one goes
    before it only with `backfill`, and only if it will have ended when the first can start."""
    starts: dict[int, int] = {}
    now, head = LUBLIN[0][0], -1
    while len(starts) < len(LUBLIN):
        ends = ((begin + LUBLIN[i][1], LUBLIN[i][2]) for i, begin in starts.items())
        running = sorted((end, size) for end, size in ends if end > now)
        free = PROCESSORS - sum(size for _, size in running)
        waiting = [i for i, (at, _, _) in enumerate(LUBLIN) if at <= now and i not in starts]
        if waiting and head not in waiting:
            head = min(waiting, key=lambda i: (LUBLIN[i][1] if shortest else 0, i))
        if waiting:
            room, first = free, now
            for end, size in running:
                if room < LUBLIN[head][2]:
                    room, first = room + size, end
            others = (i for i in waiting if LUBLIN[i][2] <= free and now + LUBLIN[i][1] <= first)
            go = head if first == now else next(others, None) if backfill else None
            if go is not None:
                starts[go] = now
                continue
        now = min([end for end, _ in running] + [at for at, _, _ in LUBLIN if at > now])
    return [starts[i] for i in range(len(LUBLIN))]


@pytest.mark.parametrize("order", ["fcfs", "sjf"])
@pytest.mark.parametrize("discipline", ["strict", "backfill"])
def test_a_stretch_of_lublin_starts_as_the_table_s_rules_say(order: str, discipline: str) -> None:
    jobs = trace(*(job(str(i), at, took, cpu=size, kind=str(i)) for i, (at, took, size) in enumerate(LUBLIN)))
    result = simulate(
        jobs, uniform(1, cpu=PROCESSORS), f"{order}, {discipline}, train_span=0", rules=Rules(together=False)
    )
    found = [record.started // SECOND for record in result.records]
    assert found == by_the_rules(order == "sjf", discipline == "backfill")
    assert sum(begin > at for begin, (at, _, _) in zip(found, LUBLIN, strict=True)) > 10  # it is congested


@pytest.mark.parametrize(
    ("policy", "mean", "makespan", "preemptions"),
    [
        ("fcfs, strict", 200.817, 3335, 0),  # `fifo` there
        ("fcfs, skip", 190.683, 3271, 0),  # `fjf`
        ("remaining, skip, preempt=longer, min_run=0, max_preemptions=1000", 192.117, 3271, 4),  # `shortest`
    ],
)
def test_the_gangs_of_tiresias_to_the_printed_digits(
    policy: str, mean: float, makespan: int, preemptions: int
) -> None:
    jobs = trace(
        *(job(str(i), at, took, cpu=0, gpu=gpus, kind=str(i)) for i, (gpus, at, took) in enumerate(GANGS))
    )
    result = simulate(jobs, uniform(1, gpus=16), f"{policy}, train_span=0", rules=Rules(checkpoint=0))
    took = sum(record.ended - record.job.task.release for record in result.records)
    assert round(took / len(GANGS) / SECOND, 3) == mean
    assert result.end - result.start == makespan * SECOND
    assert sum(record.preemptions for record in result.records) == preemptions
