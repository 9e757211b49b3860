"""The engine: events in, decisions out. Deterministic and sans-IO; see `docs/internals/engine.md`.

The same events in the same order, with the same times, give the same decisions to the byte, in the service,
in the simulator and in a replay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from headway.core import beside, claims, events, explain, invariants, snapshot, stopping, switching, trains
from headway.core.admission import gangs, limits, windows
from headway.core.admission.slots import pools_view
from headway.core.branches import depth_of
from headway.core.capacity import learning
from headway.core.decisions import Decision, Reason, Stop
from headway.core.events import Event, Outcome
from headway.core.overrides import checked, concerns
from headway.core.placement.space import Space
from headway.core.placing import place_all
from headway.core.policy import Policy
from headway.core.preemption import for_gangs, reclaim, victims, within
from headway.core.preemption.budgets import Disruptions
from headway.core.preemption.search import earlier
from headway.core.preemption.terms import settle_terms
from headway.core.settings import Settings
from headway.core.state import Entry, Member, Move, State, refuse
from headway.core.world import World
from headway.domain.budget import Budget
from headway.domain.override import Override
from headway.domain.resources import POOL, Demand
from headway.domain.units import MILLI, SECOND
from headway.errors import Invalid

#: Changes whenever the same events would be decided differently: a journal says which logic it was made with.
LOGIC = "3"


class Engine:
    """Decides who runs where.

    Args:
        order: Orders from the most to the least important, e.g. `priority > srpt`.
        discipline: `skip`, `strict`, `backfill` or `easy`.
        seed: For policies that draw lots; none of the built-in ones does.
        train_span: Microseconds of work that a lease should hold; 0 for no trains.
        preempt: Whether a better priority class may preempt a worse.
        grace: Microseconds a preempted attempt has to checkpoint.
        min_run: Microseconds before an attempt may be preempted; twice that after each preemption.
        max_preemptions: How often a task may be preempted.
        placement: Which of the nodes with room is best, e.g. `best_fit` or `spread`.
        preempt_longer: Whether, within a class, what has less left may preempt what has more (SRPT proper);
            only if the order right after the classes is by what is left, as `srpt` is.
        preempt_cost: Microseconds that such a preemption is reckoned to cost: it must gain more.
        preempt_margin: By how many thousandths of what the other has left it must be better besides.
        preempt_attained: Whether, within a class, a task in a lower queue of attained service may preempt one in a
            higher; only if the order right after the classes is `las`.
        budgets: How many may be preempted, e.g. `run 1 at once`, see `core.preemption.budgets`.
    """

    def __init__(
        self,
        order: str = "priority > srpt",
        discipline: str = "skip",
        seed: int = 0,
        *,
        train_span: int = 50_000,
        preempt: bool = True,
        grace: int = 30 * SECOND,
        min_run: int = SECOND,
        max_preemptions: int = 3,
        placement: str = "best_fit",
        preempt_longer: bool = False,
        preempt_cost: int = 0,
        preempt_margin: int = 0,
        preempt_attained: bool = False,
        budgets: Sequence[str] = (),
    ) -> None:
        settings = Settings(
            train_span, preempt, grace, min_run, max_preemptions, seed, preempt_longer, preempt_cost,
            preempt_margin, preempt_attained,
        )  # fmt: skip
        world = World(Policy(order, discipline, placement), settings)
        world.disruptions = Disruptions(tuple(Budget.parse(text) for text in budgets))
        self._start(world, None)

    def _start(self, world: World, victim_wake: int | None) -> None:
        self.world = world
        self._victim_wake = victim_wake
        self._handlers: dict[type[Any], Callable[[Any, int], None]] = {
            events.NodeJoined: self._node_joined,
            events.NodeLost: self._node_lost,
            events.NodeCordoned: self._node_cordoned,
            events.TaskOffered: self._offered,
            events.TaskWithdrawn: self._withdrawn,
            events.TaskEdited: self._edited,
            events.InputKnown: lambda event, _now: learning.input_known(world, event),
            events.AttemptStarted: self._started,
            events.AttemptProgressed: self._progressed,
            events.AttemptCheckpointed: self._checkpointed,
            events.AttemptReturned: self._returned,
            events.AttemptEnded: self._ended,
            events.PolicySet: self._policy_set,
            events.MixSet: self._mix_set,
            events.PlanSet: self._plan_set,
            events.PreemptionSet: self._preemption_set,
            events.SpeedsSet: self._speeds_set,
            events.SitesSet: self._sites_set,
            events.LevelsSet: self._levels_set,
            events.TenantSet: self._tenant_set,
            events.WindowSet: self._window_set,
            events.WindowCleared: self._window_cleared,
            events.QuotaSet: self._quota_set,
            events.RateSet: self._rate_set,
            events.PoolSet: self._pool_set,
            events.OverrideApplied: self._override_applied,
            events.OverrideReverted: self._override_reverted,
        }

    # ── the face ────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, event: Event, now: int) -> None:
        """Takes in what happened.

        What concerns an attempt that is over, or a task or node nobody knows, is stale: ignored and counted.

        Args:
            event: What happened.
            now: Microseconds; never less than before.

        Raises:
            Impossible: The task's state does not allow it. Nothing changed.
            Invalid: The event makes no sense as it stands, e.g. an unknown policy. Nothing changed.
        """
        handler = self._handlers.get(type(event))
        if handler is None:
            raise Invalid(f"{event!r} is no event of the engine", hint="see headway.core.events")
        handler(event, now)
        self.world.stamp += 1

    def decide(self, now: int) -> list[Decision]:
        """Everything that follows from what was applied and from the time.

        Args:
            now: Microseconds; never less than before.
        """
        world = self.world
        if (
            world.overrides.active
            or world.delays
            or world.leanings
            or world.windows.active
            or world.timers
            or world.plan is not None
        ):
            self._tick(now)
        if world.claims:
            for claim in [claim for claim in world.claims.values() if claim.ready]:
                if claim.entry.task.id not in world.claims:
                    continue  # a gang's are fulfilled together
                if claim.entry.task.gang is not None:
                    gangs.fulfil(world, claim.entry, now)
                else:
                    claims.fulfil(world, claim, now)
        if world.gates.shut:
            world.gates.open(world.queue, now)
        else:
            world.gates.stirred.clear()
        place_all(world, now)
        while (world.gates.shut and world.gates.reconsider(world.queue)) or world.company.stirred:
            place_all(world, now)
        self._victim_wake = victims.make_room(world, now) if world.policy.classes else None
        if world.queue.wide:
            self._victim_wake = earlier(self._victim_wake, for_gangs.make_room(world, now))
        if world.settings.preempt_longer or world.settings.preempt_attained:
            self._victim_wake = earlier(self._victim_wake, within.make_room(world, now))
        if world.gates.accounts:
            self._victim_wake = earlier(self._victim_wake, reclaim.make_room(world, now))
        while world.company.stirred:
            place_all(world, now)
        if world.trains:
            trains.call_back(world, now)
        if world.touched or world.queue.arrived:
            trains.fill(world, now)
        if world.gates.shut:
            self._victim_wake = earlier(self._victim_wake, world.gates.wake_at(now))
        out, world.out = world.out, []
        if out:
            world.stamp += 1
        return out

    def wake_at(self) -> int | None:
        """After `decide`: the earliest time at which it could decide something with no new event, or None."""
        world, wake = self.world, self._victim_wake
        if world.delays:
            wake = earlier(wake, world.next_delay())
        if world.leanings:
            wake = earlier(wake, world.next_leaning())
        if world.windows.active:
            wake = earlier(wake, world.windows.next_edge())
        if world.overrides.active:
            wake = earlier(wake, world.overrides.next_expiry())
        if world.timers:
            wake = earlier(wake, trains.next_timer(world))
        if world.plan is not None and not world.plan.over:
            wake = earlier(wake, world.plan.record.until)
        return wake

    def knows(self, task: str) -> bool:
        """Whether the task is in the engine, in whatever state."""
        return task in self.world.tasks

    def expects(self, task: str, attempt: int) -> bool:
        """Whether the attempt is out: its result, if it comes, is the task's."""
        entry = self.world.tasks.get(task)
        return entry is not None and entry.member is not None and entry.member.attempt == attempt

    def why(self, task: str, now: int) -> explain.Explanation:
        """Why the task is where it is. Raises NotFound for one the engine does not know (any more)."""
        return explain.why(self.world, task, now)

    def policy(self) -> dict[str, str]:
        """What is in force."""
        policy = self.world.policy
        return {"order": policy.text, "discipline": policy.discipline, "placement": policy.placement.name}

    def plan_view(self, now: int) -> dict[str, Any] | None:
        """The plan in force with what is left of it, as plain JSON; None without one."""
        return explain.plan_view(self.world, now)

    def counts(self) -> dict[str, int]:
        """Tasks by state, leases, members called back, and stale events since the start."""
        world = self.world
        by_state = {str(state): count for state, count in world.counts.items() if state is not State.GONE}
        return {
            **by_state,
            "leases": len(world.leases),
            "recalled": sum(lease.recalls for lease in world.leases.values()),
            "stale": world.stale,
        }

    def windows_view(self) -> list[dict[str, Any]]:
        """Every maintenance window and reservation that is not over, as plain JSON."""
        return [windows.view(window) for window in self.world.windows.active.values()]

    def nodes_view(self) -> list[dict[str, Any]]:
        """Every node that is there, with what is free of it and what it runs, as plain JSON."""
        return [explain.node_view(space) for space in self.world.nodes.all if not space.gone]

    def tenants_view(self) -> list[dict[str, Any]]:
        """Every tenant that is limited or has a task here: what it uses, may use, borrows and lends, as plain JSON."""
        return limits.tenants_view(self.world)

    def limited(self, tenant: str) -> bool:
        """Whether the tenant has a quota, or is in a cohort."""
        return tenant in self.world.gates.accounts

    def refuse_impossible(self, task: str, tenant: str, demand: Demand) -> None:
        """Raises Invalid for a demand that no quota or rate in force could ever let start."""
        limits.refuse_impossible(self.world.gates, task, tenant, demand)

    def rates_view(self, now: int) -> list[dict[str, Any]]:
        """Every rate and what is taken of it, as plain JSON."""
        return limits.rates_view(self.world, now)

    def pools_view(self) -> list[dict[str, Any]]:
        """Every pool and how many of its slots are used, as plain JSON."""
        return pools_view(self.world)

    def snapshot(self) -> dict[str, Any]:
        """The whole state as a tree of plain JSON."""
        return {"logic": LOGIC, "victim_wake": self._victim_wake, **snapshot.take(self.world)}

    @classmethod
    def restore(cls, tree: dict[str, Any]) -> Engine:
        """An engine that decides for ever as the one that was snapshot. Raises Invalid for another logic's
        snapshot."""
        if tree.get("logic") != LOGIC:
            raise Invalid(
                f"the snapshot was made with logic {tree.get('logic')!r}, this is {LOGIC!r}",
                hint="replay the journal from its beginning instead",
            )
        engine = cls.__new__(cls)
        engine._start(snapshot.load(tree), tree["victim_wake"])
        return engine

    def check(self) -> None:
        """Raises AssertionError, with the story, if anything does not hold that must (`core.invariants`)."""
        invariants.check(self.world)

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self, now: int) -> None:
        world = self.world
        for override in world.overrides.expired(now) if world.overrides.active else ():
            self._end_override(override, now)
        if world.delays:
            world.end_delays(now)
        if world.leanings:
            world.end_leanings(now)
        if world.windows.active:
            for space in windows.tick(world, now):
                world.stamp += 1
                self._cancel_claims(space, now)
        if world.timers:
            trains.overdue(world, now)
        if world.plan is not None and not world.plan.over and world.plan.record.until <= now:
            switching.end_plan(world)

    # ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────

    def _node_joined(self, event: events.NodeJoined, now: int) -> None:
        world = self.world
        space = world.nodes.by_name.get(event.node.name)
        if space is None:
            space = world.nodes.join(event.node, event.incarnation)
        else:
            if space.gone or space.incarnation != event.incarnation:
                held = frozenset(event.holds)
                self._lose_all(space, held, now)
                space.gone = False
                space.incarnation = event.incarnation
            if space.node != event.node:
                self._cancel_claims(space, now)
            world.nodes.resize(space, event.node)
            world.nodes.changed(space, freed=True)
        if world.ledger is not None:
            world.ledger.resize(world.nodes.all)
        if world.company.shapes:
            beside.moved(world)
        for task, attempt in event.holds:
            # It came back with an attempt that is not ours any more: it must not go on beside a newer one.
            entry = world.tasks.get(task)
            member = entry.member if entry is not None else None
            if member is None or member.attempt != attempt or member.lease.space is not space:
                world.out.append(Stop(task, attempt, space.name, Reason("superseded")))

    def _node_lost(self, event: events.NodeLost, now: int) -> None:
        space = self.world.nodes.by_name.get(event.node)
        if space is None or space.gone or (event.incarnation and event.incarnation != space.incarnation):
            self.world.stale += 1
            return
        space.gone = True
        space.changed()
        self._lose_all(space, frozenset(), now)
        self.world.nodes.changed(space, freed=False)
        if self.world.ledger is not None:
            self.world.ledger.resize(self.world.nodes.all)
        if self.world.company.shapes:
            beside.moved(self.world)

    def _lose_all(self, space: Space, held: frozenset[tuple[str, int]], now: int) -> None:
        self._cancel_claims(space, now)
        for lease in list(space.leases.values()):
            for member in list(lease.members):
                if (member.entry.task.id, member.attempt) not in held:
                    self.world.lose(member, now)

    def _cancel_claims(self, space: Space, now: int) -> None:
        for claim in list(space.claims):
            if claim in space.claims:  # a gang's are cancelled together
                self.world.unsettle(claim.entry)
                self.world.settle(claim.entry, now)

    def _node_cordoned(self, event: events.NodeCordoned, now: int) -> None:
        space = self.world.nodes.by_name.get(event.node)
        if space is None:
            self.world.stale += 1
            return
        space.cordoned = event.cordoned
        space.changed()
        if event.cordoned:
            self._cancel_claims(space, now)
        self.world.nodes.changed(space, freed=not event.cordoned)
        if self.world.company.shapes:
            beside.moved(self.world)

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    def _offered(self, event: events.TaskOffered, now: int) -> None:
        if event.task.gang is not None:
            gangs.refuse_nonsense(self.world, event.task)
        if event.task.beside is not None:
            beside.refuse_nonsense(event.task)
        entry = self.world.tasks.get(event.task.id)
        if entry is None:
            self.world.admit(event.task, event.not_before, now)
        elif entry.member is not None:
            entry.offer = event
        else:
            self.world.replace(entry, event.task, event.not_before, now)

    def _withdrawn(self, event: events.TaskWithdrawn, now: int) -> None:
        world = self.world
        entry = world.tasks.get(event.task)
        if entry is None:
            world.stale += 1
            return
        if entry.member is None:
            world.drop(entry)
            return
        entry.offer = None
        if not entry.withdrawn:
            entry.withdrawn = True
            member = entry.member
            reason = Reason("withdrawn", (("said", event.reason),))
            world.out.append(Stop(event.task, member.attempt, member.lease.space.name, reason))

    def _edited(self, event: events.TaskEdited, now: int) -> None:
        world = self.world
        entry = world.tasks.get(event.task)
        if entry is None:
            world.stale += 1
            return
        named = (("priority", event.priority), ("weight", event.weight), ("deadline", event.deadline))
        changes: dict[str, Any] = {name: value for name, value in named if value is not None}
        former = entry.task.priority
        entry.task = replace(entry.task, **changes)
        if entry.offer is not None:
            entry.offer = replace(entry.offer, task=replace(entry.offer.task, **changes))
        lowered = event.priority is not None and event.priority < former
        gathers = entry.state is State.GATHERING
        if entry.item is not None or gathers or (lowered and entry.state is State.CLAIMING):
            world.unsettle(entry)
            world.settle(entry, now)
        elif entry.member is not None:
            world.rerank(entry.member)

    # ── attempts ────────────────────────────────────────────────────────────────────────────────────────────

    def _present(self, task: str, attempt: int, what: str) -> Member | None:
        """The member that an executor speaks of, or None if that is over."""
        entry = self.world.tasks.get(task)
        if entry is not None:
            member = entry.member
            if member is not None and member.attempt == attempt:
                return member
            if member is None and entry.unused and entry.attempt == attempt:
                raise refuse(entry, what)  # it was given back as never to be started
        self.world.stale += 1
        return None

    def _started(self, event: events.AttemptStarted, now: int) -> None:
        member = self._present(event.task, event.attempt, "started")
        if member is None:
            return
        if member.started >= 0:
            self.world.stale += 1
            return
        self._start_member(member, now)

    def _start_member(self, member: Member, now: int) -> None:
        # By our own clock: the executor's may be off by hours, and timers must not.
        self.world.move(member.entry, Move.START)
        member.started = member.saved_at = now
        lease = member.lease
        if self.world.nodes.stirring:
            self.world.nodes.stirred[lease.space.index] = lease.space
        if member.recalled:
            member.recalled = False
            lease.recalls -= 1
            self.world.touched[lease.id] = lease
        if self.world.away:
            self.world.away.pop(member.entry.task.id, None)
        if lease.evicting:
            by = next((c.entry.task.id for c in lease.space.claims if lease.id in c.victims), None)
            said = (("late", True),) if by is None else (("by", by), ("late", True))
            claims.oust(self.world, member, Reason("preempted", said), now)
        elif len(lease.members) > 1:
            trains.watch(self.world, member)
        if self.world.overrides.active:
            stopping.stop_late(self.world, member, now)

    def _progressed(self, event: events.AttemptProgressed, now: int) -> None:
        member = self._present(event.task, event.attempt, "progressed")
        if member is None:
            return
        if member.started < 0:
            self._start_member(member, now)
        member.done = max(0, min(event.done, MILLI))

    def _checkpointed(self, event: events.AttemptCheckpointed, now: int) -> None:
        member = self._present(event.task, event.attempt, "checkpointed")
        if member is None:
            return
        if member.started < 0:
            self._start_member(member, now)
        member.saved = max(0, min(event.done, MILLI)) if event.done >= 0 else member.done
        member.saved_at = now

    def _returned(self, event: events.AttemptReturned, now: int) -> None:
        member = self._present(event.task, event.attempt, "returned")
        if member is None:
            return
        entry = member.entry
        self.world.move(entry, Move.RETURN)
        self.world.recall_dependents(member, Reason("needs_result", (("of", event.task),)))
        if member.paid:
            self.world.gates.refund(member)
        self.world.detach(member, now)
        self._break_up(entry, "returned", now)
        entry.unused = True
        self._again(entry, now)

    def _ended(self, event: events.AttemptEnded, now: int) -> None:
        member, took = self._present(event.task, event.attempt, event.outcome), event.took
        if member is None:
            return
        if took < 0:
            raise Invalid(
                f"task {event.task} attempt {event.attempt} took {took} us", hint="report zero or more"
            )
        world, entry = self.world, member.entry
        world.record(member, str(event.outcome), took, now)
        entry.attained += took
        if event.outcome is Outcome.FINISHED:
            learning.finished(world, member, took)
            world.detach(member, now, took)
            world.leave(entry, Move.END, finished=True)
            world.release_waiters(event.task, member.lease.space.index, now)
            return
        world.recall_dependents(member, Reason("needs_result", (("of", event.task),)))
        if event.outcome is Outcome.PREEMPTED:
            world.move(entry, Move.PREEMPTED)
            world.detach(member, now, event.took)
            self._break_up(entry, "preempted", now)
            entry.preemptions += 1
            entry.done = member.saved
            self._again(entry, now)
            return
        world.detach(member, now, event.took)
        self._break_up(entry, str(event.outcome), now)
        entry.done = member.saved
        offer = entry.offer
        world.leave(entry, Move.END)
        if offer is not None:
            world.admit(offer.task, offer.not_before, now)

    def _break_up(self, entry: Entry, outcome: str, now: int) -> None:
        """A member of a gang is over, unfinished: so are the others."""
        if entry.task.gang is not None:
            reason = Reason("gang_broken", (("by", entry.task.id), ("outcome", outcome)))
            gangs.break_up(self.world, entry, reason, now)

    def _again(self, entry: Entry, now: int) -> None:
        """A task whose attempt is over without its own doing goes back in line, or as was said meanwhile."""
        offer = entry.offer
        if offer is not None:
            entry.offer, entry.withdrawn = None, False
            self.world.replace(entry, offer.task, offer.not_before, now)
        elif entry.withdrawn:
            self.world.drop(entry)
        else:
            self.world.settle(entry, now)

    # ── policy and overrides ────────────────────────────────────────────────────────────────────────────────

    def _policy_set(self, event: events.PolicySet, now: int) -> None:
        place = self.world.policy.placement.name if event.placement is None else event.placement
        switching.rekey(
            self.world, Policy(event.order, event.discipline, place, depth_of(self.world.parents))
        )

    def _mix_set(self, event: events.MixSet, now: int) -> None:
        wrong = [f"{count} of ({demand})" for demand, count in event.classes if count < 1]
        if wrong:
            raise Invalid(
                f"a mix with {wrong[0]}", hint="say how many tasks there are of each demand, at least one"
            )
        switching.expect(self.world, event.classes)

    def _plan_set(self, event: events.PlanSet, now: int) -> None:
        if event.plan is not None:
            event.plan.check()
        if self.world.policy.planned:
            switching.follow(self.world, event.plan)
        else:
            self.world.stale += 1

    def _preemption_set(self, event: events.PreemptionSet, now: int) -> None:
        settle_terms(self.world, event)

    def _speeds_set(self, event: events.SpeedsSet, now: int) -> None:
        paces = self.world.nodes.paces
        paces.say(event.speeds, paces.sites)

    def _sites_set(self, event: events.SitesSet, now: int) -> None:
        paces = self.world.nodes.paces
        paces.say(paces.speeds, event.sites)

    def _levels_set(self, event: events.LevelsSet, now: int) -> None:
        self.world.company.levels = event.levels
        beside.moved(self.world)

    def _tenant_set(self, event: events.TenantSet, now: int) -> None:
        if event.weight < 1:
            raise Invalid(
                f"tenant {event.tenant} cannot weigh {event.weight}", hint="give a milli-weight of 1 or more"
            )
        world = self.world
        parents = {name: parent for name, parent in world.parents.items() if name != event.tenant}
        if event.parent:
            parents[event.tenant] = above = event.parent
            while above != event.tenant and above in parents:
                above = parents[above]
            if above == event.tenant:
                raise Invalid(
                    f"tenant {event.tenant} would be below itself", hint="give it another parent, or none"
                )
        world.weights[event.tenant] = event.weight
        if parents != world.parents:
            world.parents.clear()
            world.parents.update(parents)
            policy = world.policy
            if policy.turns is not None and policy.turns.weighted:
                depth = depth_of(parents)
                switching.rekey(world, Policy(policy.text, policy.discipline, policy.placement.name, depth))
        if world.ledger is not None:
            world.ledger.reweigh(event.tenant)

    def _window_set(self, event: events.WindowSet, now: int) -> None:
        if event.window.start < event.window.end <= now:
            self.world.stale += 1  # of a file that still names it
            return
        windows.apply(self.world, event.window, now)

    def _window_cleared(self, event: events.WindowCleared, now: int) -> None:
        if event.window not in self.world.windows.active:
            self.world.stale += 1
            return
        windows.clear(self.world, event.window)
        for space in windows.tick(self.world, now):
            self._cancel_claims(space, now)

    def _quota_set(self, event: events.QuotaSet, now: int) -> None:
        if event.quota is None and event.tenant not in self.world.gates.accounts:
            self.world.stale += 1
            return
        self.world.gates.set_quota(event.tenant, event.quota)
        switching.relimit(self.world, now)

    def _rate_set(self, event: events.RateSet, now: int) -> None:
        if event.limit is None and event.rate not in self.world.gates.rates:
            self.world.stale += 1
            return
        self.world.gates.set_rate(event.rate, event.limit)
        switching.relimit(self.world, now)

    def _pool_set(self, event: events.PoolSet, now: int) -> None:
        if event.slots is None and POOL + event.pool not in self.world.gates.slots:
            self.world.stale += 1
            return
        self.world.gates.set_pool(event.pool, event.slots)
        switching.relimit(self.world, now)

    def _override_applied(self, event: events.OverrideApplied, now: int) -> None:
        override = checked(event.override)
        former = self.world.overrides.active.pop(override.id, None)
        if former is not None:
            self._reconsider(former, now)
        self.world.overrides.active[override.id] = override
        self._reconsider(override, now)
        if override.stop:
            stopping.stop_running(self.world, override, now)

    def _override_reverted(self, event: events.OverrideReverted, now: int) -> None:
        override = self.world.overrides.active.get(event.override)
        if override is None:
            self.world.stale += 1
            return
        self._end_override(override, now)

    def _end_override(self, override: Override, now: int) -> None:
        del self.world.overrides.active[override.id]
        self._reconsider(override, now)

    def _reconsider(self, override: Override, now: int) -> None:
        """Everything the override concerns is put where it belongs with the overrides there are now."""
        world = self.world
        for entry in [entry for entry in world.tasks.values() if concerns(override, entry.task.id)]:
            if entry.member is None:
                world.unsettle(entry)
                world.settle(entry, now)
                continue
            hold, pin, entry.boost = world.overrides.on(entry.task)
            member = entry.member
            elsewhere = pin not in ("", member.lease.space.name)
            if (hold or elsewhere) and member.started < 0 and not member.recalled:
                world.recall(member.lease, [member], Reason("override", (("id", override.id),)))
