"""Which shapes fit in so much room, as one number with a bit a shape.

For each of cores, memory and GPU there is a table: of ever larger amounts, the set of shapes that ask for no more. A
lookup is one search in each and the intersection of the three sets, so it costs about the same for fifty shapes and for thousands.
A table has at most `STEPS` rows: where shapes ask for more different amounts, those between two rows are looked at one by one, and
so are shapes that are newer than the tables.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.core.queue import Shape

#: Rows of a table. With as many bits a row as there are shapes, 20,000 shapes take 8 MB.
STEPS = 1_024


class Fitting:
    """The tables of all shapes.

    Args:
        shapes: By number; more may be appended to it.
    """

    def __init__(self, shapes: list[Shape]) -> None:
        self._shapes = shapes
        self._newer = 0
        # Lookups before the tables are made anew: that costs as much as looking so often at a few new ones.
        self._patience = 0
        self._exact = True
        self._cpu = self._memory = self._gpu = _table([])

    def add(self, shape: Shape) -> None:
        """A shape that is new."""
        self._newer |= 1 << shape.id
        self._patience = len(self._shapes)

    def _build(self) -> None:
        shapes = self._shapes
        self._newer = 0
        self._cpu = _table([(shape.cpu, shape.id) for shape in shapes])
        self._memory = _table([(shape.memory, shape.id) for shape in shapes])
        self._gpu = _table([(shape.gpu, shape.id) for shape in shapes])
        self._exact = all(table[2] is table[1] for table in (self._cpu, self._memory, self._gpu))

    def within(self, cpu: int, memory: int, gpu: int, among: int) -> int:
        """Those among some shapes that ask for no more than that, a bit a shape."""
        amounts, by_cpu, more_by_cpu = self._cpu
        cores = bisect_right(amounts, cpu)
        amounts, by_memory, more_by_memory = self._memory
        bytes_ = bisect_right(amounts, memory)
        amounts, by_gpu, more_by_gpu = self._gpu
        gpus = bisect_right(amounts, gpu)
        found = by_cpu[cores] & by_memory[bytes_] & by_gpu[gpus] & among
        if self._exact and not self._newer:
            return found
        doubtful = more_by_cpu[cores] & more_by_memory[bytes_] & more_by_gpu[gpus] & among ^ found
        if self._newer:
            doubtful |= self._newer & among
            self._patience -= 1
            if self._patience < 0:
                self._build()
        while doubtful:
            low = doubtful & -doubtful
            doubtful ^= low
            shape = self._shapes[low.bit_length() - 1]
            if shape.cpu <= cpu and shape.gpu <= gpu and shape.memory <= memory:
                found |= low
        return found


#: Amounts, ascending; by how many of them are no more than what there is: who asks for no more than the last of these, and who
#: asks for less than the next one.
_Table = tuple[list[int], list[int], list[int]]


def _table(asked: list[tuple[int, int]]) -> _Table:
    """Of (amount, number of the shape)."""
    by_amount: dict[int, int] = {}
    for amount, ident in asked:
        by_amount[amount] = by_amount.get(amount, 0) | 1 << ident
    amounts = sorted(by_amount)
    every = -(-len(amounts) // STEPS) or 1
    rows, certain, found = [], [0], 0
    for place, amount in enumerate(amounts):
        found |= by_amount[amount]
        if (place + 1) % every == 0 or place + 1 == len(amounts):
            rows.append(amount)
            certain.append(found)
    if every == 1:
        return rows, certain, certain
    # Between two rows there may be some of the next one's shapes; above the last there is nobody.
    return rows, certain, [*certain[1:], found]


def members(bits: int) -> Iterator[int]:
    """The numbers in a set that is kept as an integer, smallest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
