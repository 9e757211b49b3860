"""The scheduler's books of what agents proposed: each is judged in a step of its own role, so that a journal tells and replays it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict
from typing import Any

from headway.core.engine import Engine
from headway.core.events import OverrideApplied
from headway.core.state import State
from headway.domain.override import Override
from headway.override.guard import MINUTE, Facts, Limits, override_of, refusal
from headway.override.proposal import Outcome, Proposal, Verdict

#: Verdicts that are kept for listings.
KEPT = 200

#: States in which a boost can do something.
_WAITS = (State.QUEUED, State.GATHERING, State.CLAIMING, State.WAITING, State.DELAYED)


def in_force(engine: Engine) -> tuple[Override, ...]:
    """Overrides that can still do something: of a task that has ended, one only waits for its own end."""
    tasks = engine.world.tasks
    return tuple(
        one for one in engine.world.overrides.active.values() if "/" not in one.target or one.target in tasks
    )


class Overruling:
    """Judges proposals, and remembers what became of them."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self.verdicts: deque[Verdict] = deque(maxlen=KEPT)
        #: By agent and outcome, ever.
        self.counts: Counter[tuple[str, str]] = Counter()
        self._recent: dict[str, list[int]] = {}

    def judge(self, engine: Engine, proposal: Proposal, autonomy: str, now: int) -> Verdict:
        """Check a proposal, and apply it if it passes and its agent may act.

        Args:
            autonomy: The agent's, as the settings have it now.
        """
        recent = [at for at in self._recent.get(proposal.agent, ()) if at > now - MINUTE]
        entry = engine.world.tasks.get(proposal.target)
        facts = Facts(
            now,
            entry is not None and entry.state in _WAITS,
            in_force(engine),
            recent,
        )
        why = refusal(proposal, facts, self._limits)
        if not why and proposal.id in engine.world.overrides.active:
            why = f"there is an override {proposal.id} already"
        outcome: Outcome = "refused" if why else "applied" if autonomy == "act" else "observed"
        if outcome == "applied":
            engine.apply(OverrideApplied(override_of(proposal, now)), now)
        verdict = Verdict(proposal, now, outcome, why)
        self.verdicts.append(verdict)
        self.counts[proposal.agent, outcome] += 1
        self._recent[proposal.agent] = [*recent, now][-self._limits.rate :]
        return verdict

    def snapshot(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "counts": [[*key, count] for key, count in self.counts.items()],
            "recent": self._recent,
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Become what `snapshot` described."""
        self.verdicts = deque(
            (
                Verdict(Proposal(**kept["proposal"]), kept["at"], kept["outcome"], kept["why"])
                for kept in tree["verdicts"]
            ),
            maxlen=KEPT,
        )
        self.counts = Counter({(agent, outcome): count for agent, outcome, count in tree["counts"]})
        self._recent = {agent: list(times) for agent, times in tree["recent"].items()}
