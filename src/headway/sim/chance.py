"""Seeded chance in integers: splitmix64 (Steele, Lea and Flood 2014). Cheap to seed, so that each task has its own."""

from __future__ import annotations

from zlib import crc32

_MASK = (1 << 64) - 1


class Chance:
    """A stream of numbers that its seed and its name fix for ever."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, name: str = "") -> None:
        self._state = (seed << 32 ^ crc32(name.encode())) & _MASK

    def below(self, bound: int) -> int:
        """The next number from 0 to `bound - 1`, all equally likely but for one part in 2^64 / bound."""
        self._state = state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        return (state ^ (state >> 31)) * bound >> 64
