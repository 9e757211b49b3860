"""Listings as a token that is confined to tenants sees them: what is not theirs is not there.

A token for all tenants pays one look at an empty set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from headway.errors import NotFound
from headway.service.identity import Identity
from headway.service.ports import PlannerPort, View
from headway.service.rights import check_run

_PAGE = 1000
_REMEMBERED = 10_000


class Reach:
    """Whose a run is, asked once per run: it never changes."""

    def __init__(self, planner: PlannerPort, who: Identity) -> None:
        self._planner, self._who = planner, who
        self._known: dict[str, bool] = {}

    async def of_run(self, run: str) -> bool:
        """Whether the caller may see the run; one that is not there may not be seen."""
        if not self._who.tenants:
            return True
        if (known := self._known.get(run)) is not None:
            return known
        try:
            seen = self._who.sees((await self._planner.run(run))["tenant"])
        except NotFound:
            return False
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[run] = seen
        return seen

    async def of_change(self, change: View) -> bool:
        """Whether the caller may see a change of the event stream; what names no run is a word of the service."""
        run = change.get("id") if change.get("type") == "run" else change.get("run")
        if run is None:
            return not self._who.tenants or change.get("type") == "reset"
        return await self.of_run(run)


async def runs(
    planner: PlannerPort,
    who: Identity,
    state: str | None,
    limit: int,
    after: str | None,
    workflow: str | None,
    version: str | None,
) -> list[View]:
    """As `PlannerPort.runs`."""
    if not who.tenants:
        return await planner.runs(state, limit, after, workflow, version)
    if after is not None:
        await check_run(planner, who, after)
    found: list[View] = []
    while len(found) < limit:
        page = await planner.runs(state, _PAGE, after, workflow, version)
        found += [view for view in page if who.sees(view["tenant"])]
        if len(page) < _PAGE:
            break
        after = page[-1]["id"]
    return found[:limit]


async def tasks(
    planner: PlannerPort, who: Identity, run: str | None, state: str | None, limit: int, offset: int
) -> list[View]:
    """As `PlannerPort.tasks`."""
    if run is not None:
        await check_run(planner, who, run)
    if not who.tenants or run is not None:
        return await planner.tasks(run, state, limit, offset)
    reach, found, seen = Reach(planner, who), list[View](), 0
    while len(found) < offset + limit:
        page = await planner.tasks(None, state, _PAGE, seen)
        found += [view for view in page if await reach.of_run(view["run"])]
        seen += len(page)
        if len(page) < _PAGE:
            break
    return found[offset : offset + limit]


async def windows(planner: PlannerPort, who: Identity, views: list[View]) -> list[View]:
    """Maintenance, and the reservations of the caller's tenants and runs."""
    if not who.tenants:
        return views
    reach = Reach(planner, who)
    found = []
    for view in views:
        if view["tenant"]:
            seen = who.sees(view["tenant"])
        else:
            seen = not view["run"] or await reach.of_run(view["run"])
        if seen:
            found.append(view)
    return found


async def overrides(planner: PlannerPort, who: Identity, views: list[View]) -> list[View]:
    """Those on the caller's runs and tasks."""
    if not who.tenants:
        return views
    reach = Reach(planner, who)
    return [view for view in views if await reach.of_run(view["target"].partition("/")[0])]


async def policy(planner: PlannerPort, who: Identity, view: View) -> View:
    """The policy is everybody's; of the plan only the rows of the caller's runs."""
    if not who.tenants or view.get("plan") is None:
        return view
    reach = Reach(planner, who)
    rows = [row for row in view["plan"]["rows"] if await reach.of_run(row["task"].partition("/")[0])]
    return {**view, "plan": {**view["plan"], "rows": rows}}


#: What may be the id of a run, and of a task of it.
_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{2,99})(/[^\s,;:()\"']+)?")


async def why(planner: PlannerPort, who: Identity, view: View) -> View:
    """The reasons of a task, in which runs and tasks of other tenants have no names."""
    if not who.tenants:
        return view
    foreign: set[str] = set()
    words = {match[1] for text in _texts(view) for match in _ID.finditer(text)}
    for word in words | {word.rstrip(".") for word in words}:
        try:
            if not who.sees((await planner.run(word))["tenant"]):
                foreign.add(word)
        except NotFound:
            continue  # a word like any other

    def blacked(match: re.Match[str]) -> str:
        whole = match[1] in foreign
        if not whole and match[1].rstrip(".") not in foreign:
            return match[0]
        end = "" if whole else match[1][len(match[1].rstrip(".")) :]  # of the sentence
        return ("another tenant's task" if match[2] else "another tenant's run") + end

    return _told(view, blacked) if foreign else view


def _texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield name
            yield from _texts(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _texts(value)


def _told(tree: Any, change: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(tree, str):
        return _ID.sub(change, tree)
    if isinstance(tree, dict):
        return {_ID.sub(change, name): _told(value, change) for name, value in tree.items()}
    return [_told(value, change) for value in tree] if isinstance(tree, list | tuple) else tree
