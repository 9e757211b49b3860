"""A workflow: a graph of tasks, traced or written, checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from headway.domain.beside import Beside
from headway.domain.resources import Demand
from headway.domain.rules import RULES
from headway.domain.task import Variant
from headway.domain.units import MILLI, SECOND
from headway.domain.waits import Wait
from headway.domain.where import Where


@dataclass(frozen=True, slots=True)
class Value:
    """A literal argument: a key into the values that travel beside the workflow, each by reference (`Ref`)."""

    key: str


@dataclass(frozen=True, slots=True)
class Output:
    """The result of a task. Of a mapped task: all items as a list, or the matching item where it is mapped over.

    `path` selects inside the result: `scores["best"][0]` is `("best", 0)`.
    """

    task: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list (or tuple) in which at least one element is an `Output`."""

    items: tuple[Arg, ...]
    as_tuple: bool = False


@dataclass(frozen=True, slots=True)
class DictOf:
    """A dict with string keys in which at least one value is an `Output`."""

    items: tuple[tuple[str, Arg], ...]


Arg = Value | Output | ListOf | DictOf


@dataclass(frozen=True, slots=True)
class Retry:
    """When to try again after the task's own failure.

    Attributes:
        limit: How many more attempts after the first.
        delay: Microseconds before the second attempt; doubles each time up to `ceiling`, with up to half of it as jitter.
        ceiling: Longest delay in microseconds.
        on: Names of the errors after which it is tried again; empty for any. A dotted one is the whole name of a class
            (`requests.exceptions.Timeout`), another one its last part. A class covers those that inherit from it.
    """

    limit: int = 0
    delay: int = SECOND
    ceiling: int = 60 * SECOND
    on: tuple[str, ...] = ()

    def covers(self, names: Iterable[str]) -> bool:
        """Whether an error is one of the chosen: `names` are the whole names of its class and of that one's bases."""
        if not self.on:
            return True
        known = set(names)
        known.update([name.rpartition(".")[2] for name in known])
        return any(name in known for name in self.on)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a task or a run should be complete; nothing is stopped that is late.

    Attributes:
        time: Microseconds after the submission of the run, or of the wall clock.
        absolute: Of the wall clock.
    """

    time: int
    absolute: bool = False

    def due(self, submitted: int) -> int:
        """Microseconds of the wall clock, for a run that was submitted then."""
        return self.time if self.absolute else submitted + self.time


@dataclass(frozen=True, slots=True)
class Cache:
    """The result may be that of an earlier run, if nothing it depends on has changed.

    Attributes:
        code: What the function is, as a hash; empty for a shell task, whose command is in the graph.
        version: Another one is another result.
        life: Microseconds after which a result is too old, or None.
        fresh: Look nothing up, and keep what comes out.
    """

    code: str = ""
    version: str = ""
    life: int | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """What an attempt finds around it, on whichever node it runs.

    Attributes:
        variables: Of the process environment, sorted by name; over what the worker has.
        cwd: Its working folder, an absolute path; empty for the worker's own.
        venv: A virtual environment on the node, an absolute path, whose Python runs it; or
        requirements: what one is made of in the state folder, once, as pip takes it.
        secrets: Variables whose values are secrets, each with the name of its secret, sorted.
    """

    variables: tuple[tuple[str, str], ...] = ()
    cwd: str = ""
    venv: str = ""
    requirements: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class When:
    """What a task runs for: the result of another one, `True` or `False`, must be this."""

    task: str
    be: bool = True


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One node of the graph; when mapped it becomes one task for each item.

    Attributes:
        name: Unique in the workflow.
        function: Key of the function in the bundle, `module:qualname`; empty for a shell task.
        shell: The command line, with `{name}` for each keyword argument; None for a function. Of a mapped command the
            positional arguments fill, in order, the places that no keyword fills.
        args: Positional arguments.
        kwargs: Keyword arguments, in the order written.
        mapped: How many of the leading positional arguments are iterated (zipped); 0 for a plain task.
        demand: What each attempt holds.
        estimate: Processing time in microseconds as the author said it, or None.
        priority: Higher goes first.
        retry: What happens after a failure.
        timeout: Longest processing time of an attempt in microseconds, or None.
        at_most_once: Never run again once it may have started; ends `unknown` if that is in doubt.
        where: What the labels of its node must say, in canonical text (`domain.where`).
        restart: Microseconds that an attempt needs before it goes on from a checkpoint, or None if it is to be learned.
        variants: The ways in which it may run, at least two, or none; demand, estimate and `where` are those of the first.
        after: Tasks that it waits for without taking their results.
        rule: What must be true of all that it waits for, so that it runs: one of `RULES`.
        when: The condition on which it runs, whatever the rule; None for no condition.
        wait: What it waits for instead of running anything, or None.
        deadline: When it should be complete, or None.
        cost: Price of an hour that an attempt of it runs, in milli-units of whatever money the author counts in.
        environment: What an attempt finds around it, or None for what the worker has.
        cache: Under what an earlier result is as good, or None if it always runs.
        dynamic: What its body calls joins the run as soon as it has ended (`domain.growth`), and gives its result.
        gang: Of a mapped task: its items are a gang (`domain.task.Gang`), and `within` is what must be the same for all.
        beside: Its group, and which others it must be near to, apart from or spread out among; or None.
    """

    name: str
    function: str = ""
    shell: str | None = None
    args: tuple[Arg, ...] = ()
    kwargs: tuple[tuple[str, Arg], ...] = ()
    mapped: int = 0
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
    after: tuple[str, ...] = ()
    rule: str = RULES[0]
    when: When | None = None
    wait: Wait | None = None
    deadline: Deadline | None = None
    cost: int = 0
    cache: Cache | None = None
    environment: Environment | None = None
    dynamic: bool = False
    beside: Beside | None = None

    @property
    def ways(self) -> tuple[Variant, ...]:
        """Every way in which it may run, at least one."""
        return self.variants or (Variant(self.demand, self.estimate, self.where),)

    @property
    def kind(self) -> str:
        """What its length is learned by: the function, or the command before its arguments are put in."""
        if self.wait is not None:
            return self.wait.kind
        return self.function or f"shell:{(self.shell or '')[:200]}"


@dataclass(frozen=True, slots=True)
class Workflow:
    """A graph ready to be submitted.

    Attributes:
        name: The function's name.
        tasks: In an order in which each stands after all it depends on.
        result: What the run returns, or None.
        tenant: Whose resources it draws on.
        weight: Milli-weight of its completion time.
        deadline: When the run should be complete, and so each of its tasks; or None.
    """

    name: str
    tasks: tuple[TaskSpec, ...]
    result: Arg | None = None
    tenant: str = "default"
    weight: int = MILLI
    deadline: Deadline | None = None
    _index: dict[str, TaskSpec] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._index.update((spec.name, spec) for spec in self.tasks)

    def __getitem__(self, name: str) -> TaskSpec:
        return self._index[name]

    def due(self, spec: TaskSpec, submitted: int) -> int | None:
        """When a task of it should be complete, by its own deadline or the run's: the earlier. None without one."""
        said = (spec.deadline, self.deadline)
        return min((one.due(submitted) for one in said if one is not None), default=None)


_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z_0-9]*)\}")


def places_of(command: str) -> list[str]:
    """Names of the `{places}` of a command, each once, in order."""
    return list(dict.fromkeys(_PLACE.findall(command)))


def iterated_places(command: str, named: Iterable[str]) -> list[str]:
    """The places that the items of a mapped command fill, in order: those that no keyword fills."""
    filled = set(named)
    return [place for place in places_of(command) if place not in filled]


def outputs_of(arg: Arg | None) -> list[Output]:
    """Every `Output` inside an argument, in reading order."""
    match arg:
        case Output():
            return [arg]
        case ListOf(items):
            return [found for item in items for found in outputs_of(item)]
        case DictOf(pairs):
            return [found for _, item in pairs for found in outputs_of(item)]
        case _:
            return []


def parents(spec: TaskSpec) -> list[str]:
    """Names of the tasks that this one waits for, each once: those whose results it takes, `after`, its condition."""
    seen: dict[str, None] = {}
    for arg in (*spec.args, *(value for _, value in spec.kwargs)):
        seen.update((output.task, None) for output in outputs_of(arg))
    seen.update((name, None) for name in spec.after)
    if spec.when is not None:
        seen[spec.when.task] = None
    return list(seen)
