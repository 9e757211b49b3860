"""Disruption budgets: how many attempts of a run, a tenant or a kind may be preempted, at once or in a time.

`run 1 at once` and `tenant 25% at once` mean what `maxUnavailable` of a PodDisruptionBudget means (Kubernetes; a percentage
is of what is placed or was preempted and does not run again, rounded up). `kind 10 per 1h` bounds how many are asked to
leave in any such time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from headway.domain.task import Task
from headway.domain.units import parse_time
from headway.errors import Invalid

SCOPES = ("run", "tenant", "kind")
_FORM = re.compile(r"(\w+)\s+(\d+)(%?)\s+(?:(at once)|per\s+(\S+))")


class Budget(NamedTuple):
    """One rule.

    Attributes:
        scope: One of `SCOPES`: whose attempts are counted together.
        most: How many. `percent`: that is a percentage.
        per: Microseconds in which so many may be preempted; 0: so many may be disrupted at once.
    """

    scope: str
    most: int
    percent: bool = False
    per: int = 0

    @classmethod
    def parse(cls, text: str) -> Budget:
        """From `SCOPE N at once`, `SCOPE N% at once` or `SCOPE N per TIME`. Raises Invalid."""
        found = _FORM.fullmatch(text.strip())
        hint = "write e.g. 'run 1 at once', 'tenant 25% at once' or 'kind 10 per 1h'"
        if found is None or found[1] not in SCOPES or len(found[2]) > 9:
            raise Invalid(f"{text!r} is not a disruption budget", hint=hint)
        scope, most, percent, _, per = found.groups()
        if percent and per:
            raise Invalid(f"budget {text!r}: a percentage of what, in that time?", hint=hint)
        if percent and int(most) > 100:
            raise Invalid(f"budget {text!r} is more than all", hint=hint)
        time = parse_time(per, f"the time of budget {text!r}") if per else 0
        if per and not time:
            raise Invalid(f"budget {text!r} is for no time at all", hint=hint)
        return cls(scope, int(most), bool(percent), time)

    def whose(self, task: Task) -> str:
        """The account of a task under this rule."""
        return task.run if self.scope == "run" else task.tenant if self.scope == "tenant" else task.kind
