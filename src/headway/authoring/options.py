"""What may be said about a task or a workflow when it is declared, read with errors that name it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.authoring import attributes
from headway.authoring.caching import read_cache
from headway.domain.beside import BESIDE_FIELDS, Beside, parse_beside
from headway.domain.codec import nearest
from headway.domain.resources import POOL, Demand
from headway.domain.rules import RULES
from headway.domain.task import MOST_VARIANTS, Variant
from headway.domain.units import GPU_MEMORY, parse_milli, parse_time
from headway.domain.where import Where, parse_where
from headway.domain.workflow import Cache, Deadline, Environment, Retry
from headway.errors import Invalid

TASK_OPTIONS = (
    "cpu", "memory", "gpu", "estimate", "priority", "retries", "timeout", "at_most_once", "resources", "disk", "network",
    "gpu_memory", "rates", "pool", "slots", "where", "variants", "name", "restart", "gang", "within", "rule",
    *attributes.OPTIONS,
    "dynamic", "group", "near", "apart", "spread",
)  # fmt: skip
#: What each variant may say of its own; what it leaves out is as beside `variants`.
VARIANT_OPTIONS = (
    "cpu", "memory", "gpu", "gpu_memory", "resources", "disk", "network", "rates", "pool", "slots", "estimate", "where",
)  # fmt: skip
WORKFLOW_OPTIONS = ("tenant", "weight", "name", "deadline")


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """The options of a task in the core's units."""

    demand: Demand = Demand()
    estimate: int | None = None
    priority: int = 0
    retry: Retry = Retry()
    timeout: int | None = None
    at_most_once: bool = False
    where: Where = ()
    restart: int | None = None
    variants: tuple[Variant, ...] = ()
    gang: bool = False
    within: tuple[str, ...] = ()
    rule: str = RULES[0]
    deadline: Deadline | None = None
    cost: int = 0
    cache: Cache | None = None
    environment: Environment | None = None
    dynamic: bool = False
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class WorkflowOptions:
    """The options of a workflow; the weight in milli."""

    tenant: str = "default"
    weight: int = 1000
    deadline: Deadline | None = None


def task_options(who: str, given: Mapping[str, Any], name: str = "") -> TaskOptions:
    """Read what stands in `@task(...)`.

    Args:
        who: `task 'train'`, for the errors.
        given: As written: amounts as numbers or text (`memory="2GiB"`), times as seconds or text
            (`timeout="10min"`).
        name: Of the task: its group, if it has rules about others and says none.

    Raises:
        Invalid: An option that does not exist, or a value that makes no sense; both name the task.
    """
    _known(who, given, TASK_OPTIONS)
    try:
        variants = _variants(given)
        first = variants[0] if variants else _variant(given)
        timeout, restart = (_time(given.get(name), name) for name in ("timeout", "restart"))
        retry = attributes.read_retry(given)
        if timeout == 0:
            raise Invalid("timeout=0 would end every attempt at once", hint="leave it out for no limit")
        at_most_once = given.get("at_most_once", False)
        if not isinstance(at_most_once, bool):
            raise Invalid(f"at_most_once={at_most_once!r} is not True or False")
        if at_most_once and retry.limit:
            raise Invalid("it cannot be at_most_once and have retries", hint="drop one of the two")
        priority = _whole(given.get("priority", 0), "priority")
        gang, within = _gang(given, at_most_once, variants)
        rule = _rule(given.get("rule", RULES[0]), gang)
        deadline = attributes.read_deadline(given.get("deadline"))
        cost = attributes.read_cost(given.get("cost", 0))
        cache = read_cache(given)
        environment = attributes.read_environment(given)
        dynamic = _dynamic(given.get("dynamic", False), gang)
        if dynamic and cache is not None:
            raise Invalid("it cannot be dynamic and have a cache", hint="give one to the tasks that it calls")
        beside = _beside(given, name, gang, variants)
    except Invalid as error:
        raise Invalid(f"{who}: {error.message}", hint=error.hint) from None
    return TaskOptions(
        first.demand,
        first.estimate,
        priority,
        retry,
        timeout,
        at_most_once,
        first.where,
        restart,
        variants,
        gang,
        within,
        rule,
        deadline,
        cost,
        cache,
        environment,
        dynamic,
        beside,
    )


def _variant(said: Mapping[str, Any]) -> Variant:
    """What a task asks for in one way of running."""
    demand = Demand.parse(
        cpu=said.get("cpu", 1),
        memory=said.get("memory", 0),
        gpu=said.get("gpu", 0),
        other=_other(said),
        rates={**_rates(said.get("rates", {})), **_pools(said)},
    )
    return Variant(demand, _time(said.get("estimate"), "estimate"), parse_where(said.get("where", [])))


def _variants(given: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Each with what it says itself over what stands beside `variants`."""
    rows = given.get("variants", ())
    hint = 'write variants=[dict(gpu=1, estimate="10min"), dict(cpu=16, estimate="2h")]'
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise Invalid(f"variants={rows!r} is not a list of dicts", hint=hint)
    if len(rows) == 1 or len(rows) > MOST_VARIANTS:
        raise Invalid(f"it has {len(rows)} variants, not 2 to {MOST_VARIANTS}", hint=hint)
    found = []
    for number, row in enumerate(rows, 1):
        _known(f"variant {number}", row, VARIANT_OPTIONS)
        try:
            found.append(_variant({**given, **row}))
        except Invalid as error:
            raise Invalid(f"variant {number}: {error.message}", hint=error.hint) from None
    return tuple(found)


def workflow_options(who: str, given: Mapping[str, Any]) -> WorkflowOptions:
    """Read what stands in `@workflow(...)`. Raises Invalid like `task_options`."""
    _known(who, given, WORKFLOW_OPTIONS)
    tenant = given.get("tenant", "default")
    if not isinstance(tenant, str) or not tenant:
        raise Invalid(f"{who}: tenant={tenant!r} is not a name", hint='write tenant="research"')
    try:
        weight = parse_milli(given.get("weight", 1), "weight")
        deadline = attributes.read_deadline(given.get("deadline"))
    except Invalid as error:
        raise Invalid(f"{who}: {error.message}", hint=error.hint) from None
    if not weight:
        raise Invalid(f"{who}: weight=0 would make its completion worthless", hint="write weight=1 or more")
    return WorkflowOptions(tenant, weight, deadline)


def _known(who: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for option in given:
        if option not in known:
            raise Invalid(f"{who} has no option {option!r}", hint=nearest(option, known), option=option)


def _resources(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise Invalid(f"resources={given!r} is not a dict of amounts", hint='write resources={"license": 1}')
    for name in given:
        if name in ("cpu", "memory", "gpu", "disk", "network", GPU_MEMORY):
            raise Invalid(f"resources has {name!r}, which has an option of its own", hint=f"write {name}=...")
    return given


def _gang(
    given: Mapping[str, Any], at_most_once: bool, variants: tuple[Variant, ...]
) -> tuple[bool, tuple[str, ...]]:
    """Whether its items are a gang, and within what."""
    gang = given.get("gang", False)
    if not isinstance(gang, bool):
        raise Invalid(f"gang={gang!r} is not True or False")
    if gang and at_most_once:
        raise Invalid(
            "it cannot be a gang and at_most_once: what ends one member ends all, to run again together",
            hint="drop one of the two",
        )
    if gang and variants:
        raise Invalid("it cannot be a gang and have variants", hint="drop one of the two")
    within = _within(given.get("within", ()))
    if within and not gang:
        raise Invalid(f"within={given['within']!r}, but it is no gang", hint="add gang=True, or say where=")
    return gang, within


def _beside(given: Mapping[str, Any], name: str, gang: bool, variants: tuple[Variant, ...]) -> Beside | None:
    """What it says of other tasks; with rules its group is its name unless it says another."""
    beside = parse_beside({one: given.get(one) for one in BESIDE_FIELDS}, re.sub(r"[^\w.\-]", "", name))
    if beside is not None and (gang or variants):
        said = next(one for one in BESIDE_FIELDS if given.get(one))
        raise Invalid(
            f"it cannot {'be a gang' if gang else 'have variants'} and have {said}=",
            hint='a gang says within="rack"' if gang else "drop one of the two",
        )
    return beside


def _rule(given: Any, gang: bool) -> str:
    if given not in RULES:
        raise Invalid(f"rule={given!r} is no trigger rule", hint=nearest(str(given), RULES))
    if gang and given != RULES[0]:
        raise Invalid(f"it cannot be a gang and have rule={given!r}", hint="drop one of the two")
    return str(given)


def _dynamic(given: Any, gang: bool) -> bool:
    if not isinstance(given, bool):
        raise Invalid(f"dynamic={given!r} is not True or False")
    if given and gang:
        raise Invalid("it cannot be a gang and dynamic", hint="let it call a mapped task that is a gang")
    return given


def _within(given: Any) -> tuple[str, ...]:
    labels = (given,) if isinstance(given, str) and given else given
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) and label for label in labels):
        raise Invalid(
            f"within={given!r} is not the label of nodes",
            hint='write within="rack", or within=["rack", "zone"]',
        )
    return tuple(labels)


def _other(given: Mapping[str, Any]) -> Mapping[str, Any]:
    own = {name: given[name] for name in ("disk", "network", GPU_MEMORY) if name in given}
    return {**_resources(given.get("resources", {})), **own}


def _rates(given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise Invalid(f"rates={given!r} is not a dict of amounts", hint='write rates={"gpt-tokens": 2000}')
    if pool := next((name for name in given if name.startswith(POOL)), None):
        raise Invalid(f"{pool!r} is no rate", hint=f'write pool="{pool.removeprefix(POOL)}"')
    return given


def _pools(said: Mapping[str, Any]) -> dict[str, int]:
    """Slots of pools, as rates by the name that a pool has there."""
    given, slots = said.get("pool", ()), said.get("slots", 1)
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) and one for one in names):
        raise Invalid(f"pool={given!r} is not the name of a pool", hint='write pool="db"')
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
        raise Invalid(f"slots={slots!r} is not a whole number of at least 1", hint="write slots=2")
    if slots != 1 and not names:
        raise Invalid(f"slots={slots} of no pool", hint='say of which: pool="db"')
    return {POOL + name: slots for name in names}


def _time(value: Any, what: str) -> int | None:
    return None if value is None else parse_time(value, what)


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"{what}={value!r} is not a whole number", hint=f"write {what}=2")
    return value
