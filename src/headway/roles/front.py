"""What HTTP and the inline runner see of the roles: calls that resolve after a commit, and reads that never commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, get_args

from pydantic_core import from_json

from headway.core.runs import Runs
from headway.domain.codec import demand_from_json
from headway.domain.units import show_time
from headway.errors import HeadwayError, Invalid, NotFound, Unavailable
from headway.journal.port import Journal
from headway.override.proposal import Outcome
from headway.roles.feed import Feed, Listener
from headway.roles.following.asking import Asker
from headway.roles.following.predicting import lines
from headway.roles.loop import RoleLoop
from headway.roles.planner import Planner
from headway.roles.recurring_front import SchedulesFront
from headway.roles.scheduler import Scheduler
from headway.roles.tally import Tally

View = dict[str, Any]
#: Runs looked at at once when those of one workflow are wanted.
PAGE = 500


class PlannerFront:
    """Runs and tasks: those in memory, then those in the archive."""

    def __init__(self, loop: RoleLoop, planner: Planner, feed: Feed, archive: Journal) -> None:
        self._loop, self._planner, self._feed, self._archive = loop, planner, feed, archive
        self.schedules = SchedulesFront(loop, planner, self.exists)

    async def submit(self, body: View) -> View:
        """Accept a run; see `service.ports.PlannerPort`."""
        view = await self._loop.call("submit", body)
        return {**await self.run(view["id"]), "repeated": True} if view.get("archived") else view

    async def cancel(self, target: str, reason: str, by: str) -> View:
        """Cancel a run or a task."""
        return await self._loop.call("cancel", {"target": target, "reason": reason, "by": by})

    async def pause(self, target: str, reason: str, stop: bool, by: str) -> View:
        """Let nothing of a run, a task or a map start; with `stop` end what runs, too."""
        body = {"target": target, "reason": reason, "stop": stop, "by": by}
        return await self._loop.call("pause", body)

    async def resume(self, target: str, by: str) -> View:
        """Let it start again."""
        return await self._loop.call("resume", {"target": target, "by": by})

    async def edit(self, target: str, changes: dict[str, int], reason: str, by: str) -> View:
        """Change priority, milli-weight or deadline."""
        body = {"target": target, "changes": changes, "reason": reason, "by": by}
        return await self._loop.call("edit", body)

    async def approve(self, task: str, yes: bool, reason: str, by: str) -> View:
        """Answer an approval."""
        return await self._loop.call("approve", {"task": task, "yes": yes, "reason": reason, "by": by})

    async def signal(self, run: str, name: str, value: Any, reason: str, by: str) -> View:
        """Give a signal to a run."""
        body = {"run": run, "name": name, "value": value, "reason": reason, "by": by}
        return await self._loop.call("signal", body)

    async def retry(self, run: str, by: str) -> View:
        """Run again what did not finish; an archived run is taken back into memory first."""
        body: View = {"run": run, "by": by}
        if not self._planner.runs.has(run):
            body["archived"] = await self._document("graph", run)
        return await self._loop.call("retry", body)

    async def runs(
        self,
        state: str | None,
        limit: int,
        after: str | None,
        workflow: str | None = None,
        version: str | None = None,
    ) -> list[View]:
        """Newest first, those older than the run `after`; of a workflow, of a version by the beginning of its hash."""
        if workflow is None and version is None:
            return await self._runs(state, limit, after)
        found: list[View] = []
        while len(found) < limit:
            page = await self._runs(state, PAGE, after)
            found += [
                view
                for view in page
                if workflow in (None, view["name"]) and view.get("bundle", "").startswith(version or "")
            ]
            if len(page) < PAGE:
                break
            after = page[-1]["id"]
        return found[:limit]

    async def _runs(self, state: str | None, limit: int, after: str | None) -> list[View]:
        before = await self._place(after) if after is not None else None
        found = {view["id"]: view for view in self._planner.runs.runs_view(limit=len(self._planner.runs))}
        page = await self._archive.documents("run", state=state, after=before, limit=limit + len(found))
        for document in page.documents:
            if document.key not in found:
                found[document.key] = from_json(document.json)
        views = [view for view in found.values() if state is None or view["state"] == state]
        views.sort(key=lambda view: (view["submitted"], view["id"]), reverse=True)
        if before is not None:
            views = [view for view in views if (view["submitted"], view["id"]) < before]
        return views[:limit]

    async def _place(self, run: str) -> tuple[int, str]:
        return (await self.run(run))["submitted"], run

    async def run(self, id: str) -> View:
        """One run."""
        if self._planner.runs.has(id):
            return self._planner.runs.run_view(id)
        view: View = await self._document("run", id)
        return view

    async def exists(self, id: str) -> bool:
        """Whether there is a run of this id, in memory or in the archive."""
        return self._planner.runs.has(id) or await self._archive.document("run", id) is not None

    async def tasks(self, run: str | None, state: str | None, limit: int, offset: int) -> list[View]:
        """Tasks of a run, or of all runs in memory, newest run first."""
        if run is not None:
            return (await self._holding(run)).tasks_view(run, state, limit, offset)
        found: list[View] = []
        for id in reversed(self._planner.runs.ids()):
            if len(found) >= offset + limit:
                break
            found += self._planner.runs.tasks_view(id, state, offset + limit - len(found))
        return found[offset : offset + limit]

    async def task(self, id: str) -> View:
        """One task."""
        return (await self._holding(id.partition("/")[0])).task_view(id)

    async def retire(self, before: int) -> int:
        """Forget runs that ended before, microseconds, in memory and in the archive; returns how many went from there."""
        reply = await self._loop.call("forget", {"before": before})
        gone = await self._archive.retire(before)
        if reply["forgotten"]:
            self._loop.want_snapshot()
        return gone

    def alive(self) -> list[str]:
        """The runs that are not over."""
        return [run for run in self._planner.runs.ids() if self._planner.runs.alive(run)]

    def stats(self) -> View:
        """How many runs and tasks are in memory, by state."""
        runs = self._planner.runs
        tasks: Counter[str] = Counter()
        for view in runs.runs_view("running", len(runs)):
            tasks.update(view["counts"])
        return {
            **self._loop.stats(),
            "runs": len(runs),
            "tasks": dict(tasks),
            "duplicates": runs.duplicates,
        }

    def tally(self) -> Tally:
        """What has ended since the process began."""
        return self._planner.tally

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Changes from now on."""
        return self._feed.listen(listener)

    async def _holding(self, run: str) -> Runs:
        return (
            self._planner.runs
            if self._planner.runs.has(run)
            else _adopted(await self._document("graph", run))
        )

    async def _document(self, kind: str, run: str) -> Any:
        document = await self._archive.document(kind, run)
        if document is None:
            raise NotFound(f"there is no run {run!r}", hint="`headway runs` lists them")
        return from_json(document.json)


def _adopted(document: Any) -> Runs:
    runs = Runs()
    runs.adopt(document)
    return runs


#: States in which a task waits for a place, and its start can be predicted.
_PREDICTED = ("waiting", "delayed", "held", "gathering", "queued", "claiming", "placed")


class SchedulerFront:
    """Reasons, nodes, policy and overrides."""

    def __init__(self, loop: RoleLoop, scheduler: Scheduler, nodes: RoleLoop, planner: PlannerFront) -> None:
        self._loop, self._scheduler, self._nodes_loop, self._planner = loop, scheduler, nodes, planner
        #: Where to ask what the service itself does not work out; None without a follower beside it.
        self.asker: Asker | None = None
        #: Who is at the agents' desk: name, autonomy, when last heard.
        self.agents_there: Callable[[], list[View]] = list

    async def why(self, task: str, at: int | None = None) -> View:
        """Why the task is where it is, from the engine's own reasons; where it knows none, from the graph. For one that
        waits, with what the follower predicts, if it is there.

        Args:
            at: As of then, microseconds: from the journal, by the follower.

        Raises:
            NotFound: There is no such task.
            Unavailable: There is no follower now to ask about the past.
        """
        if at is not None:
            return await self._ask("past", {"task": task, "at": at})
        view = await self._planner.task(task)
        try:
            explanation = self._scheduler.engine.why(task, self._loop.now())
        except NotFound:
            return {"task": task, "state": view["state"], **_graph_reason(view)}
        found = {"task": task, "state": explanation.state, **explanation.facts, "notes": view["notes"]}
        found["text"] = "\n".join([explanation.text(), *(f"  {note}" for note in view["notes"])])
        if explanation.state in _PREDICTED:
            predicted = await self._predicted(task)
            found["predicted"] = predicted
            found["text"] = "\n".join([found["text"], *(f"  {line}" for line in lines(predicted))])
        return found

    async def _predicted(self, task: str) -> View:
        try:
            return await self._ask("prediction", {"task": task})
        except HeadwayError as error:
            return {"unavailable": error.message}

    async def _ask(self, duty: str, body: View) -> View:
        if self.asker is None:
            raise Unavailable("there is no follower beside this service", hint="`headway up` starts one")
        return await self.asker.ask(duty, body)

    def nodes(self) -> list[View]:
        """Every node with what is free on it."""
        return self._scheduler.engine.nodes_view()

    def stats(self) -> View:
        """Counts of the engine."""
        return {**self._loop.stats(), **self._scheduler.engine.counts()}

    def policy(self) -> View:
        """What is in force, and the plan under `joint`."""
        engine = self._scheduler.engine
        return {**engine.policy(), "plan": engine.plan_view(self._loop.now())}

    async def set_policy(self, order: str, discipline: str, placement: str, by: str) -> View:
        """Change the policy from now on; an empty placement leaves that as it is."""
        body = {"order": order, "discipline": discipline, "by": by}
        return await self._loop.call("policy", {**body, "placement": placement} if placement else body)

    async def override(self, body: View) -> View:
        """Lay an override over the algorithm."""
        return await self._loop.call("override", body)

    def overrides(self) -> list[View]:
        """Those in force, in the order they were laid on."""
        return [asdict(one) for one in self._scheduler.engine.world.overrides.active.values()]

    async def propose(self, body: View) -> View:
        """Judge what an agent proposes, and apply it if it may be; returns the verdict."""
        return await self._loop.call("propose", body)

    def agents(self) -> list[View]:
        """Every agent: autonomy, when it was last heard, how its proposals fared, and the latest of them."""
        overruling, found = self._scheduler.overruling, []
        for view in self.agents_there():
            name = f"agent-{view['name']}"
            counts = {outcome: overruling.counts[name, outcome] for outcome in get_args(Outcome)}
            latest = [asdict(one) for one in overruling.verdicts if one.proposal.agent == name][-20:]
            found.append({**view, "counts": counts, "latest": latest[::-1]})
        return found

    async def revert(self, id: str, by: str) -> View:
        """End an override now."""
        return await self._loop.call("revert", {"id": id, "by": by})

    def windows(self) -> list[View]:
        """Maintenance windows and reservations that are not over."""
        return self._scheduler.engine.windows_view()

    async def set_window(self, body: View) -> View:
        """Set a maintenance window or a reservation."""
        return await self._loop.call("window", body)

    async def clear_window(self, id: str, by: str) -> View:
        """End one now."""
        return await self._loop.call("unwindow", {"id": id, "by": by})

    def tenants(self) -> list[View]:
        """Every tenant that is limited or has a task here."""
        return self._scheduler.engine.tenants_view()

    def rates(self) -> list[View]:
        """Every rate, and what is taken of it now."""
        return self._scheduler.engine.rates_view(self._loop.now())

    def pools(self) -> list[View]:
        """Every pool, and how many of its slots are used now."""
        return self._scheduler.engine.pools_view()

    async def set_pool(self, pool: str, slots: int | None, by: str) -> View:
        """Change how many slots a pool has, or lift it."""
        return await self._loop.call("pool", {"pool": pool, "slots": slots, "by": by})

    async def set_quota(self, tenant: str, quota: View | None, by: str) -> View:
        """Change what a tenant may hold, or lift it."""
        return await self._loop.call("quota", {"tenant": tenant, "quota": quota, "by": by})

    async def set_rate(self, rate: str, limit: View | None, by: str) -> View:
        """Change how much may be taken of a rate, or lift it."""
        return await self._loop.call("rate", {"rate": rate, "limit": limit, "by": by})

    def admissible(self, workflow: View) -> None:
        """Refuses a workflow with a task that no quota or rate could ever let start. What else is wrong with it is for the
        planner to say."""
        tasks, tenant = workflow.get("tasks"), workflow.get("tenant", "default")
        for task in tasks if isinstance(tasks, list) and isinstance(tenant, str) else ():
            demand = task.get("demand", {}) if isinstance(task, dict) else {}
            rated = isinstance(demand, dict) and "rates" in demand
            if not rated and not self._scheduler.engine.limited(tenant):
                continue
            try:
                wanted = demand_from_json(demand)
            except Invalid:
                continue
            self._scheduler.engine.refuse_impossible(str(task.get("name")), tenant, wanted)

    async def cordon(self, node: str, cordoned: bool, by: str) -> View:
        """Let nothing new be placed on a node, or again."""
        return await self._nodes_loop.call("cordon", {"node": node, "cordoned": cordoned, "by": by})


def _graph_reason(view: View) -> View:
    """Why a task that the scheduler does not know (yet, or any more) is where it is, as the graph tells it."""
    task, state = view["id"], view["state"]
    lines = [f"{task} is {state}"]
    if view["waits_for"]:
        named = view["waits_for"][:5]
        more = len(view["waits_for"]) - len(named)
        lines.append(f"  waits for {', '.join(named)}" + (f" and {more} more" if more else ""))
    elif view["paused"]:
        paused = view["paused"]
        lines.append(f"  paused by {paused['by']}" + (f": {paused['reason']}" if paused["reason"] else ""))
    elif state in ("waiting", "queued") and view["wait"] is None:
        lines.append("  is on its way to the scheduler")
    elif view["error"]:
        lines.append(f"  {view['error']['message']}")
    elif view["took"] is not None:
        where = f" on {view['node']}" if view["node"] else ""
        lines.append(f"  attempt {view['attempt']}{where} took {show_time(view['took'])}")
    lines += [f"  {note}" for note in view["notes"]]
    return {"waits_for": view["waits_for"], "text": "\n".join(lines)}
