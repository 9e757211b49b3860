"""Who ran where and when, as a picture: each attempt a bar while there are few, else each node's use as a strip."""

from __future__ import annotations

from collections import Counter
from html import escape

from headway.domain.units import SECOND, show_time
from headway.sim.charts import COLOURS, LEFT, RIGHT, WIDTH, short_time, svg, time_marks, x_mark
from headway.sim.metrics import amounts, curve, main_resource
from headway.sim.records import Result, Span

#: Attempts that are drawn one by one, lanes that have room, and rows and stretches of the strips.
BARS, LANES, STRIPS, STRETCHES = 600, 48, 32, 90
_SPACE = WIDTH - LEFT - RIGHT
_FOOT = 24


def gantt(result: Result, end: int) -> str:
    """The picture, its time axis up to `end` (microseconds) so that several can be compared."""
    lanes = _lanes(result) if len(result.spans) <= BARS else None
    if lanes is None or sum(map(len, lanes)) > LANES:
        return _strips(result, end)
    return _bars(result, lanes, end)


def groups(result: Result) -> list[str]:
    """What colours tell apart: tenants, or kinds where there is one tenant. The most frequent first; what comes after
    the last colour shares it."""
    tasks = [job.task for job in result.trace.jobs]
    by_tenant = Counter(task.tenant for task in tasks)
    return [
        name
        for name, _ in (by_tenant if len(by_tenant) > 1 else Counter(t.kind for t in tasks)).most_common()
    ]


def _x(result: Result, time: int, end: int) -> float:
    return LEFT + _SPACE * (time - result.start) / max(end - result.start, 1)


def _lanes(result: Result) -> list[list[list[Span]]]:
    """For each node the fewest lanes in which no two attempts overlap."""
    nodes: list[list[list[Span]]] = [[] for _ in result.cluster.nodes]
    for span in sorted(result.spans, key=lambda span: (span.start, span.end, span.job)):
        lanes = nodes[span.node]
        for lane in lanes:
            if lane[-1].end <= span.start:
                lane.append(span)
                break
        else:
            lanes.append([span])
    return nodes


def _bars(result: Result, nodes: list[list[list[Span]]], end: int) -> str:
    height = 12.0 if sum(map(len, nodes)) <= 24 else 7.0
    colour = {name: min(number, COLOURS - 1) for number, name in enumerate(groups(result))}
    by_tenant = len({job.task.tenant for job in result.trace.jobs}) > 1
    body, y = [], 2.0
    for index, lanes in enumerate(nodes):
        top = y
        for lane in lanes:
            for span in lane:
                task = result.trace.jobs[span.job].task
                number = colour[task.tenant if by_tenant else task.kind]
                body.append(_bar(result, span, y, height - 1.5, number, end))
            y += height
        y = max(y, top + height)
        body += [
            f'<rect class="down" x="{_x(result, down, end):.1f}" y="{top:.1f}" '
            f'width="{max(_x(result, min(up, end), end) - _x(result, down, end), 0.5):.1f}" height="{y - top - 1.5:.1f}">'
            f"<title>away</title></rect>"
            for node, down, up in result.outages
            if node == index and down < end
        ]
        body.append(_label(result.cluster.nodes[index].name, (top + y) / 2 + 3))
        y += 3
    return _finish(result, body, y, end)


def _bar(result: Result, span: Span, y: float, height: float, number: int, end: int) -> str:
    left, right = _x(result, span.start, end), _x(result, span.end, end)
    task = result.trace.jobs[span.job].task
    said = f"{task.id}: {span.outcome}, {show_time(span.end - span.start)} from {show_time(span.start - result.start)}"
    cut = "" if span.outcome == "finished" else " cut"
    return (
        f'<rect class="bar f{number}{cut}" x="{left:.2f}" y="{y:.1f}" width="{max(right - left, 0.4):.2f}" '
        f'height="{height:.1f}"><title>{escape(said)}</title></rect>'
    )


def _label(name: str, y: float) -> str:
    shown = name if len(name) <= 7 else f"{name[:3]}…{name[-3:]}"
    return f'<text x="{LEFT - 4}" y="{y:.1f}" text-anchor="end" class="small">{escape(shown)}</text>'


def _strips(result: Result, end: int) -> str:
    """Each node, or group of neighbours, as a row of cells: the fuller, the darker."""
    nodes, main = result.cluster.nodes, main_resource(result)
    rows = min(len(nodes), STRIPS)
    row_of = [index * rows // len(nodes) for index in range(len(nodes))]
    total = [0] * rows
    for index, node in enumerate(nodes):
        total[row_of[index]] += amounts(node).get(main, 0)
    steps: list[list[tuple[int, int, float]]] = [[] for _ in range(rows)]
    for span in result.spans:
        row = row_of[span.node]
        steps[row].append(
            (span.start, span.end, amounts(result.demand(span)).get(main, 0) / max(total[row], 1))
        )
    body, height, y = [], 160 / rows if rows > 12 else 13.0, 2.0
    cell = _SPACE / STRETCHES
    for row in range(rows):
        members = [node.name for node, where in zip(nodes, row_of, strict=True) if where == row]
        if rows <= 12 or row % (rows // 8) == 0:
            body.append(_label(members[0], y + height / 2 + 3))
        for place, share in enumerate(curve(steps[row], result.start, end, STRETCHES).tolist()):
            if share > 0.005:
                body.append(
                    f'<rect class="cell" x="{LEFT + place * cell:.1f}" y="{y:.1f}" width="{cell + 0.1:.2f}" '
                    f'height="{height - 0.6:.1f}" opacity="{min(share, 1):.2f}"/>'
                )
        y += height
    return _finish(result, body, y, end)


def _finish(result: Result, body: list[str], y: float, end: int) -> str:
    body.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    length = max(end - result.start, 1) / SECOND
    body += [x_mark(LEFT + _SPACE * time / length, short_time(time), y) for time in time_marks(length, 4)]
    return svg(f"What ran where under {result.choice.name}", y + _FOOT, body)
