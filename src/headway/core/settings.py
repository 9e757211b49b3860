"""What an operator may set of the engine besides the policy."""

from __future__ import annotations

from headway.domain.units import SECOND


class Settings:
    """What an operator may set besides the policy; times in microseconds.

    Attributes:
        train_span: Work a lease should hold.
        preempt: Whether a better class may preempt a worse.
        grace: Time a preempted attempt has to checkpoint.
        min_run: Nothing is preempted before it has run so long; twice that after each preemption.
        max_preemptions: Nothing is preempted more often.
        preempt_longer: Whether what has less left may preempt what has more; only if the order right after the
            classes is by what is left.
        preempt_cost: What that is reckoned to cost: it must gain more.
        preempt_margin: By how many thousandths of what the other has left it must be better besides.
        preempt_attained: Whether what stands in a lower queue of attained service may preempt what stands in a
            higher; only if the order right after the classes has such queues.
    """

    __slots__ = (
        "grace", "max_preemptions", "min_run", "preempt", "preempt_attained", "preempt_cost", "preempt_longer",
        "preempt_margin", "seed", "train_span",
    )  # fmt: skip

    def __init__(
        self,
        train_span: int = 50_000,
        preempt: bool = True,
        grace: int = 30 * SECOND,
        min_run: int = SECOND,
        max_preemptions: int = 3,
        seed: int = 0,
        preempt_longer: bool = False,
        preempt_cost: int = 0,
        preempt_margin: int = 0,
        preempt_attained: bool = False,
    ) -> None:
        self.train_span = train_span
        self.preempt = preempt
        self.grace = grace
        self.min_run = min_run
        self.max_preemptions = max_preemptions
        self.seed = seed
        self.preempt_longer = preempt_longer
        self.preempt_cost = preempt_cost
        self.preempt_margin = preempt_margin
        self.preempt_attained = preempt_attained

    def tree(self) -> list[int]:
        """As plain JSON."""
        return [
            self.train_span, int(self.preempt), self.grace, self.min_run, self.max_preemptions, self.seed,
            int(self.preempt_longer), self.preempt_cost, self.preempt_margin, int(self.preempt_attained),
        ]  # fmt: skip

    @classmethod
    def from_tree(cls, tree: list[int]) -> Settings:
        """The reverse of `tree`."""
        span, preempt, grace, min_run, most, seed, *rest = tree
        longer, cost, margin, attained = [*rest, *[0] * (4 - len(rest))]  # older trees lack some
        return cls(
            span, bool(preempt), grace, min_run, most, seed, bool(longer), cost, margin, bool(attained)
        )
