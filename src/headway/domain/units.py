"""Units as people write them, to the integers the core decides with, and back.

Amounts are milli-units (cpu 1.5 -> 1500), memory and disk are bytes, network is bits a second, time is microseconds.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from headway.errors import Invalid

MILLI = 1000
SECOND = 1_000_000  # microseconds
HOUR = 3600 * SECOND
#: The memory of one device, a named resource that is held device by device: of a demand of each that it takes, of a node of each
#: that it has.
GPU_MEMORY = "gpu_memory"
_IN_BYTES = ("memory", "disk", GPU_MEMORY)

_BYTES = {
    "": 1, "B": 1,
    "K": 10**3, "KB": 10**3, "M": 10**6, "MB": 10**6, "G": 10**9, "GB": 10**9, "T": 10**12, "TB": 10**12,
    "KI": 2**10, "KIB": 2**10, "MI": 2**20, "MIB": 2**20, "GI": 2**30, "GIB": 2**30, "TI": 2**40, "TIB": 2**40,
}  # fmt: skip
_SECONDS = {
    "us": Decimal("0.000001"), "ms": Decimal("0.001"), "": Decimal(1), "s": Decimal(1), "sec": Decimal(1),
    "m": Decimal(60), "min": Decimal(60), "h": Decimal(3600), "d": Decimal(86400),
}  # fmt: skip
_BITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_QUANTITY = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)\s*\Z")
_TIME_PART = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]*)")


def parse_milli(value: float | int | str, what: str) -> int:
    """`1.5` -> 1500 milli-units. Refuses negatives and more than three decimals, which would round silently."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise Invalid(f"{what}={value!r} is not a number", hint=f"write {what}=1 or {what}=0.5")
    try:
        exact = Decimal(str(value)) * MILLI
    except InvalidOperation:
        raise Invalid(f"{what}={value!r} is not a number", hint=f"write {what}=1 or {what}=0.5") from None
    if not exact.is_finite() or exact < 0:
        raise Invalid(f"{what}={value!r} must be zero or more", hint=f"write {what}=1 or {what}=0.5")
    if exact != exact.to_integral_value():
        raise Invalid(f"{what}={value!r} has more than three decimals", hint="the smallest share is 0.001")
    return int(exact)


def parse_bytes(value: int | str, what: str = "memory") -> int:
    """`"2GiB"`, `"500MB"` or a plain number of bytes -> bytes."""
    wrong = Invalid(
        f"{what}={value!r} is not an amount of memory", hint=f'write {what}="2GiB" or {what}="500MB"'
    )
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise wrong
    if isinstance(value, int):
        if value < 0:
            raise wrong
        return value
    match = _QUANTITY.match(value)
    if not match or match.group(2).upper() not in _BYTES:
        raise wrong
    return int(Decimal(match.group(1)) * _BYTES[match.group(2).upper()])


def parse_bits(value: int | str, what: str = "network") -> int:
    """`"1Gbit"`, `"200Mbit"` or a plain number of bits a second -> bits a second. Prefixes are decimal, as networks count."""
    wrong = Invalid(f"{what}={value!r} is not a bandwidth", hint=f'write {what}="1Gbit" or {what}="200Mbit"')
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise wrong
    if isinstance(value, int):
        if value < 0:
            raise wrong
        return value
    match = _QUANTITY.match(value)
    unit = match.group(2).lower().removesuffix("ps").removesuffix("bit") if match else ""
    if not match or unit not in _BITS:
        raise wrong
    return int(Decimal(match.group(1)) * _BITS[unit])


def parse_amount(name: str, value: float | int | str) -> int:
    """An amount of a named resource in the unit that it is counted in: bytes of memory (also of a
    device) and disk, bits a second of network,
    milli of everything else."""
    if name in _IN_BYTES:
        return parse_bytes(value, name)  # type: ignore[arg-type]  # a float is refused with words
    if name == "network":
        return parse_bits(value, name)  # type: ignore[arg-type]
    return parse_milli(value, name)


def parse_time(value: float | int | str, what: str) -> int:
    """`90`, `"90s"`, `"1.5h"`, `"1h30m"` -> microseconds. A plain number is seconds."""
    wrong = Invalid(
        f"{what}={value!r} is not a length of time", hint=f'write {what}=30 (seconds) or {what}="1h30m"'
    )
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong
    text, position, total = str(value), 0, Decimal(0)
    if not text.strip():
        raise wrong
    while position < len(text.rstrip()):
        match = _TIME_PART.match(text, position)
        if not match or match.group(2).lower() not in _SECONDS:
            raise wrong
        total += Decimal(match.group(1)) * _SECONDS[match.group(2).lower()]
        position = match.end()
    return int(total * SECOND)


def show_milli(milli: int) -> str:
    """1500 -> `1.5`, 2000 -> `2`."""
    whole, rest = divmod(milli, MILLI)
    return str(whole) if not rest else f"{whole}.{rest:03d}".rstrip("0")


def show_money(millionths: int) -> str:
    """1250000 -> `1.25`; four decimals where it is less than one."""
    return f"{millionths / 1e6:,.2f}" if millionths >= 1_000_000 else f"{millionths / 1e6:.4f}"


def show_bytes(count: int) -> str:
    """2147483648 -> `2 GiB`."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            amount = count / size
            return (
                f"{amount:.0f} {unit}" if amount >= 100 or amount == int(amount) else f"{amount:.1f} {unit}"
            )
    return f"{count} B"


def show_bits(rate: int) -> str:
    """1500000000 -> `1.5 Gbit/s`."""
    for unit, size in (("Tbit/s", 10**12), ("Gbit/s", 10**9), ("Mbit/s", 10**6), ("kbit/s", 10**3)):
        if rate >= size:
            return f"{show_milli(rate * MILLI // size)} {unit}"
    return f"{rate} bit/s"


def show_amount(name: str, amount: int) -> str:
    """The reverse of `parse_amount`, for a reader."""
    if name in _IN_BYTES:
        return show_bytes(amount)
    return show_bits(amount) if name == "network" else show_milli(amount)


def show_time(micros: int) -> str:
    """Microseconds for a reader: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if micros < 0:
        return f"-{show_time(-micros)}"
    if micros < 1000:
        return f"{micros} us"
    if micros < SECOND:
        return f"{micros / 1000:.0f} ms"
    if micros < 60 * SECOND:
        return f"{micros / SECOND:.1f} s"
    minutes, seconds = divmod(round(micros / SECOND), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
