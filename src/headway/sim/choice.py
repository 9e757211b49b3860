"""A policy to try, as a person writes it: `priority > srpt, strict, preempt=no`.

After the orders, separated by commas, in any order: a discipline, and settings of the engine:

| setting             | meaning                                                                                   |
|---------------------|-------------------------------------------------------------------------------------------|
| `preempt=yes`       | a better priority class may preempt a worse (as a service does unless told otherwise)      |
| `preempt=no`        | nothing is preempted                                                                      |
| `preempt=longer`    | also, within a class, what has less left preempts what has more                           |
| `preempt_cost=30s`  | what the latter is reckoned to cost: it must gain more                                    |
| `preempt_margin=10%` | and by how much of what the other has left it must be better besides                     |
| `preempt=attained`  | also, within a class, what stands in a lower queue of attained service (order `las`)      |
| `budget=run 1 at once` | a disruption budget, see `headway.domain.budget`; several may be given                 |
| `grace=1min`        | what a preempted attempt has to write its checkpoint                                      |
| `min_run=10s`       | nothing is preempted before it has run so long                                            |
| `max_preemptions=3` | nothing is preempted more often                                                           |
| `placement=spread`  | which of the nodes with room is best                                                      |
| `mix=known`         | `fgd` and `min_waste` know the trace's tasks beforehand; else they learn them as they come |
| `train_span=50ms`   | work that a lease holds; 0 for no trains                                                  |

For a policy with the order `joint` also what its plans are made for (`core.joint.horizon.Aim`):

| setting             | meaning                                                                                   |
|---------------------|-------------------------------------------------------------------------------------------|
| `objective=makespan` | or `weighted_completion`, `utilisation`                                                  |
| `u_min=0.8`         | least mean utilisation over the horizon                                                   |
| `horizon=10min`     | how long a plan keeps places                                                              |
| `jobs=48`           | tasks that one plan looks at                                                              |
| `every=2s`          | from one plan to the next, at least                                                       |
| `steps=400`         | the solver's budget                                                                       |
| `solver=cpsat`      | or `search`, `lists`                                                                      |
| `plan_seed=1`       | of the search                                                                             |
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from headway.core.engine import Engine
from headway.core.joint.horizon import SOLVERS, Aim
from headway.core.joint.problem import PPM, Objective
from headway.core.policy import DISCIPLINES
from headway.core.preemption.terms import KINDS
from headway.domain.units import MILLI, parse_milli, parse_time
from headway.errors import Invalid

#: Settings of the engine that may follow the orders, and how each is read.
_TIMES = ("train_span", "grace", "min_run", "preempt_cost")
_SETTINGS = ("preempt", *_TIMES, "preempt_margin", "max_preemptions", "budget", "placement", "mix")
#: What a plan is made for: the name as written, and the field of `Aim`.
_AIMS = {
    "objective": "objective", "u_min": "floor", "horizon": "horizon", "jobs": "jobs", "every": "every", "steps": "steps",
    "solver": "solver", "plan_seed": "seed",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """Orders, a discipline, and what else the engine is told.

    Attributes:
        label: As it was written.
        settings: Keyword arguments of `Engine`.
        aim: What plans are made for, under `joint`.
        known: The tasks to be expected are told to the engine.
    """

    order: str
    discipline: str = "skip"
    settings: tuple[tuple[str, Any], ...] = ()
    label: str = ""
    aim: Aim = Aim()
    known: bool = False

    @classmethod
    def parse(cls, text: str) -> Choice:
        """From `ORDER > ORDER, DISCIPLINE, SETTING=VALUE`. Raises Invalid naming what is wrong."""
        order, *rest = (part.strip() for part in text.split(","))
        discipline = "skip"
        settings: dict[str, Any] = {}
        aims: dict[str, Any] = {}
        for part in rest:
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals and name in DISCIPLINES:
                discipline = name
            elif equals and name in _SETTINGS:
                read = _value(name, value, text)
                if name == "budget":
                    read = {"budgets": (*settings.get("budgets", ()), *read["budgets"])}
                settings |= read
            elif equals and name in _AIMS:
                aims[_AIMS[name]] = _aim(name, value, text)
            else:
                known = [*DISCIPLINES, *(f"{setting}=" for setting in (*_SETTINGS, *_AIMS))]
                close = difflib.get_close_matches(part, known, 1)
                raise Invalid(
                    f"policy {text!r}: {part!r} is neither a discipline nor a setting",
                    hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
                )
        told = settings.pop("mix", False) is True
        made = cls(order, discipline, tuple(settings.items()), ", ".join([order, *rest]), Aim(**aims), told)
        engine = made.engine()  # an unknown order or placement is refused here, before anything runs
        if settings.get("preempt_longer") and engine.world.policy.by_remaining is None:
            raise Invalid(
                f"policy {text!r}: preempt=longer needs an order by what is left to do, right after the classes",
                hint="e.g. 'srpt, preempt=longer' or 'priority > remaining, preempt=longer'",
            )
        if aims and not engine.world.policy.planned:
            raise Invalid(
                f"policy {text!r}: only 'joint' makes plans",
                hint="e.g. 'joint, objective=makespan, steps=1000'",
            )
        if settings.get("preempt_attained") and engine.world.policy.by_service is None:
            raise Invalid(
                f"policy {text!r}: preempt=attained needs the order las, right after the classes",
                hint="e.g. 'las > fcfs, preempt=attained' or 'priority > las, preempt=attained'",
            )
        return made

    def engine(self) -> Engine:
        """The production engine under this policy."""
        return Engine(self.order, self.discipline, **dict(self.settings))

    @property
    def name(self) -> str:
        """For reports."""
        return self.label or f"{self.order}, {self.discipline}"


def _value(name: str, value: str, text: str) -> dict[str, Any]:
    if name == "preempt":
        if value not in ("yes", *KINDS):
            raise Invalid(
                f"policy {text!r}: preempt={value}", hint="write preempt=yes, no, longer or attained"
            )
        return dict(KINDS["classes" if value == "yes" else value])
    if name == "budget":
        return {"budgets": (value,)}
    if name == "preempt_margin":
        percent = value.removesuffix("%")
        if not percent.isdigit() or int(percent) >= 100:
            raise Invalid(
                f"policy {text!r}: {name}={value} is no percentage below 100", hint=f"write {name}=10%"
            )
        return {name: int(percent) * 10}
    if name == "mix":
        if value not in ("known", "learned"):
            raise Invalid(f"policy {text!r}: mix={value}", hint="write mix=known or mix=learned")
        return {"mix": value == "known"}
    if name == "placement":
        return {name: value}
    if name in _TIMES:
        return {name: parse_time(value, name)}
    if not value.isdigit():
        raise Invalid(f"policy {text!r}: {name}={value} is not a count", hint=f"write {name}=3")
    return {name: int(value)}


def _aim(name: str, value: str, text: str) -> Any:
    if name == "objective":
        if value not in tuple(Objective):
            raise Invalid(f"policy {text!r}: no objective {value!r}", hint=f"one of: {', '.join(Objective)}")
        return Objective(value)
    if name == "solver":
        if value not in SOLVERS:
            raise Invalid(f"policy {text!r}: no solver {value!r}", hint=f"one of: {', '.join(SOLVERS)}")
        return value
    if name == "u_min":
        return parse_milli(value, name) * (PPM // MILLI)
    if name in ("horizon", "every"):
        return parse_time(value, name)
    if not value.isdigit():
        raise Invalid(f"policy {text!r}: {name}={value} is not a count", hint=f"write {name}=100")
    return int(value)
