"""Problems and answers as plain JSON, for a solver in another process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from headway.core.joint.plan import Plan
from headway.core.joint.port import Answer, Floor
from headway.core.joint.problem import Edge, Held, Job, Objective, Place, Problem
from headway.errors import Invalid

Tree = dict[str, Any]

#: What reading a tree raises that is none.
_WRONG = (TypeError, ValueError, KeyError, IndexError, AttributeError)


def problem_to_json(problem: Problem) -> Tree:
    """The tree of a problem."""
    return asdict(problem)


def problem_from_json(tree: Tree) -> Problem:
    """The reverse. Raises Invalid for what is no problem."""
    try:
        places = tuple(
            Place(
                p["name"], tuple(p["capacity"]), p["opens"],
                tuple(Held(h["start"], h["end"], tuple(h["demand"])) for h in p["held"]), p["price"],
            )
            for p in tree["places"]
        )  # fmt: skip
        jobs = tuple(
            Job(j["name"], tuple(j["durations"]), tuple(j["demand"]), j["release"], j["weight"])
            for j in tree["jobs"]
        )
        edges = tuple(Edge(e["before"], e["after"], e["size"]) for e in tree["edges"])
        lag = tuple(tuple(row) for row in tree["lag"])
        objective = Objective(tree["objective"])
        return Problem(
            tuple(tree["resources"]), places, jobs, edges, lag, objective, tree["horizon"], tree["floor"]
        )
    except _WRONG as error:
        raise Invalid(
            f"this is no problem: {error!r}", hint="a problem is what `problem_to_json` gives"
        ) from None


def answer_from_json(tree: Tree) -> Answer:
    """An answer from its tree (`Answer.encode`). Whether it is a sound one is another question.

    Raises:
        Invalid: It is no answer at all.
    """
    try:
        plan, floor = tree["plan"], tree["floor"]
        starts, places = tuple(plan["starts"]), tuple(plan["places"])
        numbers = (
            *starts,
            *places,
            tree["cost"],
            tree["bound"],
            tree["steps"],
            *(floor.values() if floor else ()),
        )
        if any(type(number) is not int for number in numbers):
            raise ValueError("a number in it is not whole")
        return Answer(
            Plan(starts, places), tree["cost"], tree["bound"], tree["steps"], str(tree["solver"]), str(tree["detail"]),
            Floor(floor["asked"], floor["reached"], floor["limit"]) if floor else None,
        )  # fmt: skip
    except _WRONG as error:
        raise Invalid(f"this is no answer of a solver: {error!r}") from None
