"""A comparison, read as a table, as JSON and as a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from headway.domain.units import SECOND
from headway.errors import Invalid
from headway.sim.charts import cdf, nice, short_time, time_marks
from headway.sim.cluster import uniform
from headway.sim.records import Rules
from headway.sim.report import Comparison, compare
from tests.sim.builders import cores, job, trace

JOBS = trace(
    job("a", 0, 20),
    job("b", 1, 4),
    job("<script>alert(1)</script>", 2, 10, tenant="b&w", kind="<b>", priority=1),
)


def of(*policies: str) -> Comparison:
    return compare(JOBS, cores(1), policies, rules=Rules(checkpoint=SECOND))


def test_the_table_has_a_column_a_policy() -> None:
    text = of("fcfs, strict", "priority > sjf").table()
    lines = text.splitlines()
    assert lines[0] == "trace: 3 tasks on 1 node, 1 cores"
    assert re.split(r"  +", lines[2].strip()) == ["fcfs, strict", "priority > sjf"]
    rows = {row[0]: row[1:] for row in (re.split(r"  +", line.strip()) for line in lines[3:])}
    assert rows["makespan"] == ["34.0 s", "35.0 s"]  # a checkpoint costs a second
    assert rows["preemptions"] == ["0", "1"]


def test_json_holds_every_figure() -> None:
    tree = json.loads(json.dumps(of("fcfs", "priority > sjf").tree()))
    assert [one["policy"] for one in tree["policies"]] == ["fcfs", "priority > sjf"]
    assert [one["makespan"] for one in tree["policies"]] == [34, 35]
    assert tree["cluster"] == {"name": "node", "nodes": 1}


class Page(HTMLParser):
    """Checks that tags close, and gathers what a test asks for."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_the_page_needs_nothing_else_and_shows_each_policy() -> None:
    text = of("fcfs, strict", "priority > sjf", "srpt").html()
    page = read(text)
    assert page.links == []
    assert "url(" not in text
    assert "@import" not in text
    assert 'name="viewport"' in text
    assert page.seen.count("figure") == 4 + 3  # curves, and what ran where
    assert page.seen.count("polyline") == 4 * 3
    assert text.count("priority &gt; sjf") >= 3


def test_names_of_tasks_are_text_on_the_page_and_nothing_else() -> None:
    text = of("fcfs").html()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;: finished" in text
    assert "b&amp;w" in text


def test_many_attempts_are_drawn_as_strips() -> None:
    jobs = trace(*(job(f"t{i}", i / 10, 5) for i in range(700)))
    text = compare(jobs, uniform(40, cpu=2), ["fcfs"]).html()
    read(text)
    assert 'class="cell"' in text
    assert 'class="bar' not in text
    assert len(text) < 300_000


def test_nothing_divides_by_nothing() -> None:
    """A single task that takes no time at all."""
    done = compare(trace(job("a", 0, 0)), cores(1), ["fcfs"])
    assert done.metrics[0].makespan == 0
    read(done.html())
    assert "finished" in done.table()


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ([], "at least one policy"),
        (["fcfs", "fcfs"], "each once"),
        (["fcfs, stric"], "did you mean 'strict'"),
        (["fcsf"], "did you mean 'fcfs'"),
        (["fcfs, preempt=maybe"], "preempt=yes, no, longer or attained"),
        (["fcfs, preempt=longer"], "needs an order by what is left"),
        (["fcfs, max_preemptions=few"], "is not a count"),
        (["fcfs, placement=worst"], "placement"),
    ],
)
def test_a_policy_that_is_none_is_refused_before_anything_runs(policies: list[str], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        compare(JOBS, cores(1), policies)
    assert said in str(caught.value)


def test_marks_are_round() -> None:
    assert time_marks(4000) == [0, 900, 1800, 2700, 3600]
    assert [short_time(mark) for mark in (0, 0.05, 90, 3600, 86400 * 20)] == [
        "0",
        "50 ms",
        "1.5 min",
        "1 h",
        "20 d",
    ]
    assert [nice(value) for value in (0.3, 1, 7, 23, 81)] == [0.4, 1, 8, 25, 100]
    assert cdf([3, 1, 2, 2]) == [(1, 0.25), (2, 0.5), (2, 0.75), (3, 1.0)]
