"""The agents' process: the latest digest goes into the graph; a graph that is slow, wrong or hung harms nobody."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headway.bus import topics
from headway.bus.letter import Letter, decode, encode
from headway.bus.messages import DigestBody, ProposalBody
from headway.errors import Invalid, NotFound
from headway.host import graphs
from headway.host.hosting import Agent, Hung

SITE = "s"
GOOD = {"kind": "boost", "target": "r/t", "amount": 1, "ttl": 60_000_000, "reason": "waits"}


class Wire:
    """A connection on which a test speaks."""

    connected = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.started = asyncio.Event()
        self.said: asyncio.Queue[ProposalBody] = asyncio.Queue()
        self.closed = False

    async def start(self, filters: Any, on_message: Any, on_connect: Any, **more: Any) -> None:
        self.filters, self.hear = list(filters), on_message
        self.started.set()

    def publish(self, topic: str, payload: bytes, **more: Any) -> bool:
        assert topic == topics.letter(SITE, "agent-scheduler", "proposal")
        self.said.put_nowait(ProposalBody.model_validate_json(decode("proposal", payload).body))
        return True

    async def close(self) -> None:
        self.closed = True

    def digest(self, at: int, data: bytes | None = None) -> None:
        body = data if data is not None else DigestBody(at=at).model_dump_json().encode()
        letter = Letter("desk", "digest", 1, at, "digest", body)
        self.hear(topics.letter(SITE, "desk", "digest"), encode(letter))


class Graph:
    """Does what a test says."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.seen, self.go = answer, list[int](), threading.Event()
        self.go.set()

    def invoke(self, state: dict[str, Any]) -> Any:
        self.seen.append(state["digest"]["at"])
        self.go.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def running(graph: Graph, limit: float = 20) -> tuple[Wire, asyncio.Task[None]]:
    wire = Wire()
    task = asyncio.create_task(Agent("scheduler", graph, wire, SITE, limit).run())
    await asyncio.wait_for(wire.started.wait(), 10)
    return wire, task


async def heard(wire: Wire) -> ProposalBody:
    return await asyncio.wait_for(wire.said.get(), 10)


async def test_it_hears_only_digests_and_says_what_the_graph_proposes() -> None:
    wire, task = await running(Graph({"proposals": [GOOD]}))
    assert topics.letter(SITE, "desk", "digest") in wire.filters
    assert not any("+" in one and "ack" not in one and "presence" not in one for one in wire.filters)
    wire.digest(7)
    said = await heard(wire)
    assert said.digest == 7
    assert [one.target for one in said.proposals] == ["r/t"]
    task.cancel()


@pytest.mark.parametrize(
    "answer",
    [
        None, "text", [], {}, {"proposals": None}, {"proposals": "x"}, {"proposals": [{}]}, {"proposals": [GOOD] * 21},
        {"proposals": [{**GOOD, "amount": float("nan")}]}, {"proposals": [{**GOOD, "ttl": -1}]},
        {"proposals": [{**GOOD, "rights": "admin"}]},
        ValueError("the graph is wrong"),
    ],
)  # fmt: skip
async def test_nonsense_is_no_proposal_and_the_next_digest_another_chance(answer: Any) -> None:
    graph = Graph(answer)
    wire, task = await running(graph)
    wire.digest(1)
    assert (await heard(wire)).proposals == []
    graph.answer = {"proposals": [GOOD]}
    wire.digest(2)
    assert len((await heard(wire)).proposals) == 1
    task.cancel()


async def test_a_slow_graph_gets_the_latest_digest_and_none_of_those_between() -> None:
    graph = Graph({"proposals": []})
    graph.go.clear()
    wire, task = await running(graph)
    wire.digest(1)
    while not graph.seen:
        await asyncio.sleep(0.001)
    for at in range(2, 50):
        wire.digest(at)
    graph.go.set()
    assert [(await heard(wire)).digest, (await heard(wire)).digest] == [1, 49]
    assert graph.seen == [1, 49]
    task.cancel()


async def test_a_hung_graph_ends_the_agent() -> None:
    graph = Graph({})
    graph.go.clear()
    wire, task = await running(graph, limit=0.05)
    wire.digest(1)
    with pytest.raises(Hung, match="did not come back"):
        await asyncio.wait_for(task, 10)
    assert wire.closed
    graph.go.set()


async def test_a_digest_that_makes_no_sense_and_foreign_topics_are_not_heard() -> None:
    graph = Graph({"proposals": []})
    wire, task = await running(graph)
    wire.digest(1, b'{"at": "soon"}')
    wire.hear(topics.letter(SITE, "planner", "digest"), b"{}")
    wire.hear("headway/s/events/x", b"{}")
    wire.hear(topics.letter(SITE, "desk", "digest"), b"\xff")
    wire.digest(9)
    assert (await heard(wire)).digest == 9
    assert graph.seen == [9]
    task.cancel()


# ── the graph itself ──────────────────────────────────────────────────────────────────────────────


def test_a_folder_without_a_graph_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="agents/nobody"):
        graphs.load("nobody", tmp_path)
    folder = tmp_path / "agents" / "mine"
    folder.mkdir(parents=True)
    for text, says in (
        (None, "is not there"),
        ("graph = 3", "holds no compiled graph"),
        ("import no_such_module_x", "cannot be imported: ModuleNotFoundError"),
        ("graph = 1 / 0", "ZeroDivisionError"),
    ):
        if text is not None:
            (folder / "graph.py").write_text(text)
        with pytest.raises(Invalid, match=says):
            graphs.load("mine", tmp_path)
    (folder / "graph.py").write_text(
        "class G:\n    def invoke(self, s):\n        return {'proposals': []}\ngraph = G()\n"
    )
    assert graphs.load("mine", tmp_path).invoke({}) == {"proposals": []}, "a project's own comes first"


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def graph() -> Any:
    pytest.importorskip("langgraph", reason="the extra 'agents' is not installed")
    return graphs.load("scheduler", ROOT)


def row(
    task: str,
    waited: int,
    remaining: int = 10,
    *,
    tenant: str = "a",
    deadline: Any = None,
    boosted: bool = False,
) -> list[Any]:
    return [task, tenant, waited * 1_000_000, remaining * 1_000_000, deadline, boosted]


def proposed(graph: Any, *rows: list[Any], in_force: int = 0) -> list[str]:
    digest = {"at": 10**12, "counts": {}, "waiting": list(rows), "in_force": in_force, "patience": 60_000_000}
    proposals = graph.invoke({"digest": digest}).get("proposals", [])
    ProposalBody(digest=digest["at"], proposals=proposals)
    return [one["target"] for one in proposals]


def test_who_waits_many_times_its_length_is_lifted(graph: Any) -> None:
    assert proposed(graph) == []
    assert (
        proposed(graph, row("short wait", 30), row("long task", 300, 290), row("lifted", 900, boosted=True))
        == []
    )
    assert proposed(graph, row("b", 100), row("a", 600), row("c", 90)) == ["a", "b", "c"]
    assert proposed(graph, row("late", 1, 100, deadline=10**12 + 150_000_000)) == ["late"]
    assert proposed(graph, row("in time", 1, 100, deadline=10**12 + 900_000_000)) == []


def test_no_tenant_gets_all_the_help_and_the_number_is_bounded(graph: Any) -> None:
    rows = [row(f"a{n}", 1000 - n) for n in range(5)] + [row("b0", 100, tenant="b")]
    assert proposed(graph, *rows) == ["a0", "b0", "a1"]
    assert proposed(graph, *rows, in_force=4) == ["a0"]
    assert proposed(graph, *rows, in_force=5) == []


def test_langgraph_json_names_it_as_the_usual_tools_read_it(graph: Any) -> None:
    told = json.loads((ROOT / "langgraph.json").read_text())
    for where in told["graphs"].values():
        path, _, attribute = where.partition(":")
        assert (ROOT / path).is_file()
        assert attribute == "graph"
    drawn = graph.get_graph().draw_mermaid()
    assert all(node in drawn for node in ("observe", "assess", "propose"))
    assert graph.checkpointer is None, "such tools bring their own"
