"""The HTML report: one page with its styles and pictures in it, for a phone as for a wide screen, light or dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from headway.domain.units import SECOND
from headway.sim import charts
from headway.sim.gantt import BARS, gantt, groups
from headway.sim.metrics import (
    SHORT,
    bounded,
    held_over_time,
    last_end,
    main_resource,
    ready,
    seconds,
    waiting_over_time,
)

if TYPE_CHECKING:
    from headway.sim.records import Result
    from headway.sim.report import Comparison

#: Stretches of time in a curve.
BINS = 160
_STYLE = """
:root{--ink:#1b1f24;--soft:#5b6570;--line:#d8dee4;--back:#fff;--card:#f6f8fa;--best:#0a6b3d;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0508c;--c4:#8a6d00;--c5:#3a9bd1;--c6:#444b53;--c7:#8c564b}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--line:#30363d;--back:#0d1117;--card:#161b22;
--best:#56d364;--c0:#4aa8e0;--c1:#ff8c42;--c2:#2ecf9a;--c3:#e08cc0;--c4:#d9b740;--c5:#8fd0f5;--c6:#aab4bf;--c7:#d09a8c}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:16px;max-width:1120px;background:var(--back);color:var(--ink);
font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.4rem;margin:.2em 0}h2{font-size:1.1rem;margin:1.6em 0 .5em}p{margin:.4em 0}
.soft{color:var(--soft)}ul.notes{margin:.4em 0;padding-left:1.1em;color:var(--soft)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-top:1px solid var(--line);white-space:nowrap}
thead th,thead td{border-top:0}thead th{vertical-align:bottom;white-space:normal;min-width:7.5em}
th[scope=row]{text-align:left;font-weight:400;position:sticky;left:0;background:var(--back)}
thead td{position:sticky;left:0;background:var(--back)}td.best{color:var(--best);font-weight:600}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:14px}
figure{margin:0;padding:10px;background:var(--card);border-radius:8px;min-width:0}
figcaption{font-weight:600;margin-bottom:4px}figcaption small{font-weight:400;color:var(--soft);display:block}
svg{display:block;width:100%;height:auto}svg text{font-size:11px;fill:var(--ink)}svg text.soft{fill:var(--soft)}
svg text.small{font-size:9.5px}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}
.line{fill:none;stroke-width:2}.cell{fill:var(--c0)}.down{fill:var(--soft);opacity:.35}
.bar{stroke:var(--card);stroke-width:.4}.cut{opacity:.45}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;margin:.5em 0;padding:0;list-style:none}
.legend li{display:flex;align-items:center;gap:6px}.legend svg{width:34px;flex:none}
@media(max-width:640px){body{padding:12px;font-size:15px}th,td{padding:6px 7px;font-size:.87rem}
thead th{min-width:0}thead th span{display:none}th[scope=row]{white-space:normal;min-width:7.2em}}
"""


def page(comparison: Comparison) -> str:
    """The whole document."""
    from headway.sim.report import describe

    trace, results = comparison.trace, comparison.results
    title = f"{trace.name}: {len(results)} {'policy' if len(results) == 1 else 'policies'}"
    colours = "".join(
        f".s{n}{{stroke:var(--c{n})}}.f{n}{{fill:var(--c{n})}}.k{n}{{color:var(--c{n})}}"
        for n in range(charts.COLOURS)
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    parts = [
        f"<h1>{escape(trace.name)}</h1>",
        f'<p class="soft">{len(trace.jobs):,} tasks on {escape(describe(comparison.cluster))} '
        f"({escape(comparison.cluster.name)}), simulated with Headway's own engine, seed {comparison.injected.seed}</p>",
        f'<ul class="notes">{notes}</ul>' if notes else "",
        "<h2>Figures</h2>",
        _legend([result.choice.name for result in results]),
        _figures(comparison),
        "<h2>Curves</h2>",
        f'<div class="cards">{"".join(_curves(results))}</div>',
        "<h2>What ran where</h2>",
        _what_ran(results),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{colours}</style></head><body>"
        f"{''.join(parts)}</body></html>\n"
    )


def _figures(comparison: Comparison) -> str:
    from headway.sim.report import rows_of

    head = "".join(
        f'<th scope="col"><b class="k{n % charts.COLOURS}">{n + 1}</b><span> {escape(one.policy)}</span></th>'
        for n, one in enumerate(comparison.metrics)
    )
    rows = []
    for row in rows_of(comparison.metrics):
        best = row.best
        cells = "".join(
            f"<td{' class=best' if text == best else ''}>{escape(text)}</td>" for text in row.texts
        )
        rows.append(f'<tr><th scope="row">{escape(row.name)}</th>{cells}</tr>')
    return f'<div class="wide"><table><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _legend(names: Sequence[str]) -> str:
    items = []
    for number, name in enumerate(names):
        colour = number % charts.COLOURS
        line = (
            f'<svg viewBox="0 0 34 10" aria-hidden="true"><line class="line s{colour}" x1="0" x2="34" y1="5" y2="5" '
            f'stroke-dasharray="{charts.DASHES[colour]}"/></svg>'
        )
        items.append(f'<li><b class="k{colour}">{number + 1}</b>{line}{escape(name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _card(caption: str, small: str, picture: str) -> str:
    return (
        f"<figure><figcaption>{escape(caption)}<small>{escape(small)}</small></figcaption>{picture}</figure>"
    )


def _curves(results: Sequence[Result]) -> list[str]:
    end = max(last_end(result) for result in results)
    names = [result.choice.name for result in results]
    responses, slowdowns = [], []
    for result in results:
        done = [record for record in result.records if record.ended >= 0]
        response = seconds(record.ended - ready(record) for record in done)
        responses.append(charts.cdf(response.tolist()))
        takes = seconds(record.job.duration for record in done)
        slowdowns.append(charts.cdf(bounded(response, takes).tolist()))
    resource = main_resource(results[0])
    held = [
        _over_time(held_over_time(result, BINS, end).tolist(), results[0].start, end) for result in results
    ]
    waiting = [
        _over_time(waiting_over_time(result, BINS, end).tolist(), results[0].start, end) for result in results
    ]

    def draw(title: str, found: Sequence[Sequence[charts.Point]], x_label: str, show_y: Callable[[float], str],
             *, times: bool, log_x: bool = False, top: float | None = None) -> str:  # fmt: skip
        series = list(zip(names, found, strict=True))
        return charts.lines(title, series, x_label=x_label, show_y=show_y, times=times, log_x=log_x, top=top)

    return [
        _card("Response time", "share of tasks complete within it; further left is better",
              draw("Distribution of response times", responses, "response time", _share, times=True, log_x=True, top=1)),
        _card("Bounded slowdown", f"response over processing time, tasks under {SHORT:g} s counted as {SHORT:g} s",
              draw("Distribution of bounded slowdown", slowdowns, "slowdown", _share, times=False, log_x=True, top=1)),
        _card(f"{resource} held", "share of all nodes' capacity over time",
              draw(f"{resource} held over time", held, "time", _share, times=True, top=1)),
        _card("Tasks waiting", "ready, and without a place",
              draw("Tasks waiting over time", waiting, "time", charts.number, times=True)),
    ]  # fmt: skip


def _over_time(values: Sequence[float], start: int, end: int) -> list[charts.Point]:
    step = (end - start) / SECOND / len(values)
    return [((place + 0.5) * step, value) for place, value in enumerate(values)]


def _what_ran(results: Sequence[Result]) -> str:
    end = max(last_end(result) for result in results)
    bars = any(len(result.spans) <= BARS for result in results)
    legend = ""
    if bars:
        shown = groups(results[0])
        items = [
            f'<li><svg viewBox="0 0 34 10" aria-hidden="true"><rect class="f{number}" width="34" height="10"/></svg>'
            f"{escape(name if number < charts.COLOURS - 1 or len(shown) == charts.COLOURS else 'all others')}</li>"
            for number, name in enumerate(shown[: charts.COLOURS])
        ]
        legend = f'<ul class="legend">{"".join(items)}</ul>' if len(shown) > 1 else ""
        said = "each bar an attempt; pale: it was preempted or lost; grey: the node was away"
    else:
        said = f"each row a node or a group of neighbours; the darker, the more of its {main_resource(results[0])} is held"
    cards = "".join(
        _card(f"{number} {result.choice.name}", said, gantt(result, end))
        for number, result in enumerate(results, 1)
    )
    return f'{legend}<div class="cards">{cards}</div>'


def _share(value: float) -> str:
    return f"{value:.0%}"
