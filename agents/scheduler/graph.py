"""The scheduler's agent: looks at who has waited long for what they are, and proposes to lift a few of them.

Rules only; no model is asked. A policy like SRPT makes the long wait for the short, and a burst of one tenant makes everybody
wait; the rule here is that of the slowdown: who has waited many times its own length, and long in itself, goes first for a while.
What it proposes is judged by the guard (`headway.override.guard`) before anything happens.

It is an ordinary LangGraph graph: `langgraph.json` names it, so the usual tools open it.
"""

from __future__ import annotations

from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph

#: So many tasks may be lifted at a time, and so many of them by one deliberation.
IN_FORCE, MOST = 5, 3
#: For so long (microseconds), and only those that have waited so many times their length.
FOR, STRETCH = 10 * 60 * 1_000_000, 4

# Of a row of the digest (`headway.bus.messages.WaitingRow`).
TASK, TENANT, WAITED, REMAINING, DEADLINE, BOOSTED = range(6)


class State(TypedDict, total=False):
    """What goes from node to node: the digest as it came, the rows that matter, the proposals."""

    digest: dict[str, Any]
    late: list[Any]
    proposals: list[dict[str, Any]]


def observe(state: State) -> State:
    """Those who wait beyond patience, or whose deadline can hardly be met, and are not lifted yet."""
    digest = state["digest"]
    now, patience = digest["at"], digest["patience"]

    def late(row: Any) -> bool:
        long = row[WAITED] >= patience and row[WAITED] >= STRETCH * row[REMAINING]
        tight = row[DEADLINE] is not None and row[DEADLINE] - now < 2 * row[REMAINING]
        return not row[BOOSTED] and (long or tight)

    return {"late": [row for row in digest["waiting"] if late(row)]}


def assess(state: State) -> State:
    """The worst first, and one tenant after another: nobody gets all the help."""
    ranked = sorted(state["late"], key=lambda row: -row[WAITED] * 1000 // max(row[REMAINING], 1))
    turns: dict[str, int] = {}
    order = []
    for row in ranked:
        turns[row[TENANT]] = turns.get(row[TENANT], 0) + 1
        order.append((turns[row[TENANT]], row))
    room = max(0, min(MOST, IN_FORCE - state["digest"]["in_force"]))
    return {"late": [row for _, row in sorted(order, key=lambda pair: pair[0])][:room]}


def propose(state: State) -> State:
    """A boost each, with its reason in numbers."""
    return {
        "proposals": [
            {"kind": "boost", "target": row[TASK], "amount": 1, "ttl": FOR, "reason": _reason(row)}
            for row in state["late"]
        ]
    }


def _reason(row: Any) -> str:
    waited, needs = row[WAITED] / 1e6, max(row[REMAINING], 1) / 1e6
    return f"has waited {waited:.0f} s for {needs:.0f} s of work, {waited / needs:.1f} times its length"


_builder = StateGraph(State)
_builder.add_node("observe", observe)
_builder.add_node("assess", assess)
_builder.add_node("propose", propose)
_builder.add_edge(START, "observe")
_builder.add_conditional_edges("observe", lambda state: "assess" if state["late"] else END, ["assess", END])
_builder.add_edge("assess", "propose")
_builder.add_edge("propose", END)
graph = _builder.compile(name="scheduler")
