"""Who was preempted lately, and how many more the disruption budgets (`domain.budget`) allow.

A task is disrupted from the moment it is asked to leave until it runs again. Unlike Kubernetes' scheduler, which overruns a
PodDisruptionBudget if there is no other way, budgets are never overrun.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from headway.domain.budget import Budget

if TYPE_CHECKING:
    from headway.core.state import Entry
    from headway.core.world import World

#: Accounts whose last preemptions are kept for each budget; beyond it those whose time is over are forgotten.
KEPT = 10_000


class Disruptions:
    """Who was preempted lately, as far as the budgets need it.

    Attributes:
        rules: In the order they were given.
        recent: By rule with a time and account: when its last `most` were asked to leave.
    """

    def __init__(self, rules: tuple[Budget, ...] = ()) -> None:
        self.rules = rules
        self.recent: dict[tuple[int, str], deque[int]] = {}

    def accounts(self, entry: Entry) -> tuple[tuple[int, str], ...]:
        """The keys of a task's accounts, one a rule."""
        return tuple((number, rule.whose(entry.task)) for number, rule in enumerate(self.rules))

    def asked(self, entry: Entry, now: int) -> None:
        """The task's attempt is asked to leave."""
        for number, rule in enumerate(self.rules):
            if not rule.per or not rule.most:
                continue
            times = self.recent.setdefault((number, rule.whose(entry.task)), deque(maxlen=rule.most))
            times.append(now)
            if len(self.recent) > KEPT:
                self.recent = {
                    key: kept
                    for key, kept in self.recent.items()
                    if kept[-1] + self.rules[key[0]].per > now or key == (number, rule.whose(entry.task))
                }

    def spared(self, entry: Entry, asked_at: int) -> None:
        """It was let off after all: it counts no more."""
        for account in self.accounts(entry):
            times = self.recent.get(account)
            if times is not None and asked_at in times:
                times.remove(asked_at)
                if not times:
                    del self.recent[account]

    def allowance(self, world: World, now: int) -> tuple[dict[tuple[int, str], int], int | None]:
        """What may yet be taken of each account that has live attempts, and when a time that is used up will allow one
        more (None: not by itself)."""
        left: dict[tuple[int, str], int] = {}
        ripe: int | None = None
        for number, rule in enumerate(self.rules):
            away: dict[str, int] = {}
            all_of: dict[str, int] = {}
            for entry in world.away.values():
                name = rule.whose(entry.task)
                away[name] = away.get(name, 0) + 1
                if entry.member is None:
                    all_of[name] = all_of.get(name, 0) + 1
            for member in world.members():
                name = rule.whose(member.entry.task)
                all_of[name] = all_of.get(name, 0) + 1
            for name, count in all_of.items():
                key = (number, name)
                if not rule.per:
                    most = -(-count * rule.most // 100) if rule.percent else rule.most
                    left[key] = most - away.get(name, 0)
                    continue
                fresh = [time for time in self.recent.get(key, ()) if time + rule.per > now]
                left[key] = rule.most - len(fresh)
                if fresh and left[key] < 1:
                    ripe = fresh[0] + rule.per if ripe is None else min(ripe, fresh[0] + rule.per)
        return left, ripe

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [
            [list(rule) for rule in self.rules],
            [[*key, list(times)] for key, times in self.recent.items()],
        ]

    @classmethod
    def from_tree(cls, tree: list[Any]) -> Disruptions:
        """The reverse of `tree`."""
        made = cls(tuple(Budget(row[0], row[1], bool(row[2]), row[3]) for row in tree[0]))
        for number, name, times in tree[1]:
            made.recent[number, name] = deque(times, maxlen=made.rules[number].most)
        return made
