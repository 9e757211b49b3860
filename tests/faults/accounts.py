"""The accounts after the killer: what was promised, what the planner recorded, and what the ledger outside Headway says."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from headway.client import Client
from headway.client.outcome import decode
from headway.errors import NotFound
from headway.roles.loop import RoleLoop
from headway.roles.planner import Planner
from headway.store.blobs import Blobs
from headway.store.sqlite import SqliteJournal

from .site import Site

#: Their tasks run once at most: what was in doubt ends `unknown`, and its run `failed`.
AT_MOST_ONCE = "onces"


@dataclass
class Accounts:
    """What was found. `problems` is empty when every promise was kept."""

    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    #: Acknowledged run -> its view.
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Task -> its attempts as recorded.
    attempts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def audit_journal(self, state: Path) -> None:
        """The journal itself, with nobody running: every acknowledged run is archived, and its history replays."""
        asyncio.run(self._audit_journal(state))

    async def _audit_journal(self, state: Path) -> None:
        journal = SqliteJournal(state / "journal.db")
        try:
            # Raises Diverged if what was decided is not what the journal's inputs lead to.
            loop = RoleLoop(
                planner := Planner(), journal, Blobs(state / "blobs"), int((state / "epoch").read_text())
            )
            loop.restore()
            archived = 0
            for run, view in self.views.items():
                document = await journal.document("run", run)
                if document is None:
                    self.problems.append(f"run {run} was acknowledged, has ended, and is not in the archive")
                    continue
                kept = from_json(document.json)
                if {key: kept[key] for key in ("state", "counts")} != {
                    key: view[key] for key in ("state", "counts")
                }:
                    self.problems.append(
                        f"run {run} was shown as {view['state']} {view['counts']} but is kept as {kept}"
                    )
                archived += 1
            self.figures |= {
                "archived": archived,
                "entries_replayed": loop._number,
                "runs_in_memory": len(planner.runs),
            }
        finally:
            await journal.close()


def audit(
    site: Site, client: Client, acknowledged: dict[str, str], ledger: Path, problems: list[str]
) -> Accounts:
    """Compare the three books."""
    accounts = Accounts(problems=list(problems))
    lines = Counter(ledger.read_text().splitlines())
    say = accounts.problems.append
    lost = unknown = twice = unaccounted = reruns = unbegun = 0
    outcomes: Counter[str] = Counter()
    recorded: set[str] = set()
    for run, kind in acknowledged.items():
        try:
            view = accounts.views[run] = client.run(run)
        except NotFound:
            lost += 1
            say(f"run {run} was acknowledged and is lost")
            continue
        tasks = client.get(run).tasks()
        states = Counter(task["state"] for task in tasks)
        wanted = "failed" if kind == AT_MOST_ONCE and states["unknown"] else "finished"
        if view["state"] != wanted or set(states) - (
            {"finished", "unknown"} if kind == AT_MOST_ONCE else {"finished"}
        ):
            say(f"run {run} ({kind}) ended {view['state']} with tasks {dict(states)}: {view['error']}")
        said: dict[str, str] = {}
        for brief in tasks:
            task = client.task(brief["id"])
            attempts = accounts.attempts[task["id"]] = task["attempts"]
            numbers = [attempt["attempt"] for attempt in attempts]
            outcomes.update(attempt["outcome"] for attempt in attempts)
            recorded.update(f"{task['id']} {number}" for number in numbers)
            executed = [number for number in numbers if lines[f"{task['id']} {number}"]]
            finished = [attempt["attempt"] for attempt in attempts if attempt["outcome"] == "finished"]
            reruns += max(0, len(executed) - 1)
            unbegun += len(numbers) - len(executed)
            if numbers != sorted(set(numbers)):
                twice += 1
                say(f"{task['id']} has its attempts out of order or twice: {numbers}")
            if len(finished) != (task["state"] == "finished"):
                twice += len(finished) > 1
                say(f"{task['id']} is {task['state']} and has finished {len(finished)} times: {attempts}")
            if finished:
                said[task["id"]] = f"{task['id']} {finished[0]}"
                if finished[0] not in executed:
                    say(f"{task['id']} attempt {finished[0]} is recorded as finished and was never executed")
            if kind == AT_MOST_ONCE:
                unknown += task["state"] == "unknown"
                if sum(lines[f"{task['id']} {number}"] for number in numbers) > 1:
                    say(f"{task['id']} may run once at most and ran as {executed}")
        if view["state"] == "finished":
            _compare_result(client, view, kind, said, say)
    for line, count in lines.items():
        if line not in recorded:
            if line.partition("/")[0] in acknowledged:
                unaccounted += 1
                say(f"executed and not recorded: {line}")
        elif count > 1:
            unaccounted += count - 1
            say(f"one attempt was executed {count} times: {line}")
    accounts.figures |= {
        "runs": len(acknowledged), "tasks": len(accounts.attempts), "lost": lost, "recorded_twice": twice, "unaccounted": unaccounted,
        "executions": sum(lines.values()), "reruns": reruns, "attempts_never_begun": unbegun, "unknown": unknown,
        "outcomes": dict(sorted(outcomes.items())),
    }  # fmt: skip
    return accounts


def _compare_result(client: Client, view: dict[str, Any], kind: str, said: dict[str, str], say: Any) -> None:
    """What the run returned was written by the very attempts that are recorded."""
    result = decode(view["result"], client.read_blob)
    parts = [line for part in result for line in part] if kind == AT_MOST_ONCE else result
    for line in parts:
        if said.get(line.partition(" ")[0]) != line:
            say(
                f"the result of {view['id']} holds {line!r}, recorded is {said.get(line.partition(' ')[0])!r}"
            )
