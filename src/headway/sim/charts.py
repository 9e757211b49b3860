"""Line charts and Gantt pictures as SVG, drawn here so that a page needs nothing else.

A picture is 400 units wide: text of 11 units is readable on a phone, where a unit is about a pixel. Colours are CSS
variables of the page (`--c0` … from Okabe and Ito's palette, told apart by the colour-blind), and each line has a dash
pattern of its own, so that it can be read without colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

Point = tuple[float, float]
WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 10, 34
DASHES = ("", "7 3", "2 3", "10 3 2 3", "4 2", "1 4", "12 4", "6 2 1 2")
COLOURS = len(DASHES)


def lines(
    title: str,
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    x_label: str,
    show_y: Callable[[float], str],
    times: bool = False,
    log_x: bool = False,
    top: float | None = None,
) -> str:
    """Lines over a common axis.

    Args:
        times: The x axis is seconds.
        log_x: It is logarithmic; else it begins at 0.
        top: Where the y axis ends; by the data if not given.
    """
    points = [point for _, found in series for point in found]
    high = max((x for x, _ in points), default=1.0) or 1.0
    ceiling = top or nice(max((y for _, y in points), default=1.0) or 1.0)
    show_x = short_time if times else number
    if log_x:
        low = max(min((x for x, _ in points), default=1.0), high / 1e6, 1e-6)
        high = max(high, low * 2)
        first, last = math.log10(low), math.log10(high)
        marks = _log_marks(low, high, times)

        def x_at(x: float) -> float:
            return (math.log10(max(x, low)) - first) / (last - first)

    else:
        marks = time_marks(high) if times else [high * part / 4 for part in range(5)]

        def x_at(x: float) -> float:
            return x / high

    body = [_frame(x_label)]
    for part in range(5):
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * part / 4
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(
            f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{escape(show_y(ceiling * part / 4))}</text>'
        )
    body += [x_mark(LEFT + x_at(mark) * (WIDTH - LEFT - RIGHT), show_x(mark)) for mark in marks]
    for place, (_, found) in enumerate(series):
        path = " ".join(
            f"{LEFT + x_at(x) * (WIDTH - LEFT - RIGHT):.1f},"
            f"{HEIGHT - BOTTOM - min(y / ceiling, 1.0) * (HEIGHT - TOP - BOTTOM):.1f}"
            for x, y in found
        )
        body.append(
            f'<polyline class="line s{place % COLOURS}" stroke-dasharray="{DASHES[place % COLOURS]}" points="{path}"/>'
        )
    return svg(title, HEIGHT, body)


def svg(title: str, height: float, body: Sequence[str]) -> str:
    """A picture that is as wide as its place, and has a name for those who do not see it."""
    name = escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{name}"><title>{name}</title>{"".join(body)}</svg>'


def _frame(x_label: str) -> str:
    y = HEIGHT - BOTTOM
    return (
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 3}" text-anchor="end" class="soft">{escape(x_label)}</text>'
    )


def x_mark(x: float, text: str, y: float = HEIGHT - BOTTOM) -> str:
    """A mark on the axis at height y, with its text below."""
    anchor = "start" if x < LEFT + 15 else "end" if x > WIDTH - RIGHT - 15 else "middle"
    return (
        f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}"/>'
        f'<text x="{x:.1f}" y="{y + 16}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def nice(value: float) -> float:
    """The next 1, 2, 2.5, 4, 5 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if step * power >= value * 0.999999)


def cdf(values: Sequence[float], most: int = 120) -> list[Point]:
    """The share of values that are at most x, as so many points."""
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        return []
    picks = sorted({min(round(i * (count - 1) / (most - 1)), count - 1) for i in range(most)})
    return [(ordered[i], (i + 1) / count) for i in picks]


# ── marks ───────────────────────────────────────────────────────────────────────────────────────────────────

_STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
    10800, 21600, 43200, *(86400 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)  # fmt: skip
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"))


def time_marks(high: float, most: int = 5) -> list[float]:
    """Round times from 0 up to `high` seconds."""
    step = next((step for step in _STEPS if high / step <= most), high)
    return [step * number for number in range(int(high / step) + 1)]


def _log_marks(low: float, high: float, times: bool) -> list[float]:
    if times:  # round in the unit that shows them
        by_unit = [(1e-3, (1, 10, 100)), (1.0, (1, 3, 10, 30)), (60.0, (1, 3, 10, 30)), (3600.0, (1, 3, 10))]
        marks = [unit * by for unit, steps in [*by_unit, (86400.0, (1, 3, 10, 30, 100, 300))] for by in steps]
    else:
        marks = [10.0**power * by for power in range(-3, 12) for by in (1, 2, 5)]
    inside = [mark for mark in marks if low <= mark <= high]
    return inside[:: max(1, -(-len(inside) // 6))]


def short_time(length: float) -> str:
    """Seconds, for a mark on an axis."""
    if length == 0:
        return "0"
    for size, unit in _UNITS:
        if length >= size * 0.999999:
            return f"{length / size:.3g} {unit}"
    return f"{length * 1e6:.3g} us"


def number(value: float) -> str:
    """A number, for a mark on an axis."""
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value / 1e3:.3g}k" if value >= 10_000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"
