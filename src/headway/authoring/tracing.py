"""From a function to a `Workflow`: its body runs once with stand-ins for results, and every call is noted.

Nothing of the user's tasks runs here. Literal arguments are encoded as they are given, so that a list changed
between two calls is two values, as it would be in a plain call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import Parameter
from typing import TYPE_CHECKING, Any

from headway.authoring import names
from headway.authoring.caching import coded
from headway.authoring.checking import Signature, element_of
from headway.authoring.futures import Future, Given, name_of
from headway.authoring.options import TaskOptions, WorkflowOptions
from headway.authoring.values import Encoded, encode, short
from headway.domain.codec import validate_workflow
from headway.domain.groups import grouped
from headway.domain.results import Ref
from headway.domain.waits import Wait
from headway.domain.workflow import Arg, DictOf, ListOf, Output, TaskSpec, Value, When, Workflow, outputs_of
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.authoring.bundle import Bundle

#: Letters of a name, before it is numbered.
_NAME_MOST = 100
#: In a plain call of a workflow its tasks run in place.
IN_PLACE = "in place"
#: What a call of a task means here: note it in this trace, run it in place, or (None) just call the function.
mode: ContextVar[Trace | str | None] = ContextVar("headway_mode", default=None)


@contextmanager
def entered(value: Trace | str | None) -> Iterator[None]:
    """The mode for the length of a with block."""
    token = mode.set(value)
    try:
        yield
    finally:
        mode.reset(token)


@dataclass(frozen=True, slots=True)
class Traced:
    """A workflow ready to be sent.

    Attributes:
        workflow: The graph.
        values: Literal arguments by key, encoded; `values.encode` takes them as they are.
        functions: The functions of its tasks, by key in the bundle.
    """

    workflow: Workflow
    values: dict[str, Encoded]
    functions: dict[str, Callable[..., Any]]

    @property
    def refs(self) -> dict[str, Ref]:
        return {key: value.ref for key, value in self.values.items()}

    @property
    def blobs(self) -> dict[str, bytes]:
        """Large values by their SHA-256."""
        return {str(value.ref.data): value.blob for value in self.values.values() if value.blob is not None}

    def bundle(self) -> Bundle:
        """The sources of its functions."""
        from headway.authoring.bundle import make_bundle

        return make_bundle(self.functions)


@dataclass(slots=True, eq=False)
class Trace:
    """What the body of a workflow has said so far."""

    name: str
    tasks: list[TaskSpec] = field(default_factory=list)
    values: dict[str, Encoded] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    #: On which condition the calls noted now run, and after which tasks.
    condition: When | None = None
    after: tuple[str, ...] = ()
    #: What stands before the names of the tasks noted now: `prep.` in the body of a workflow that was called here.
    prefix: str = ""
    _used: dict[str, int] = field(default_factory=dict)
    _keys: dict[tuple[str, Any], str] = field(default_factory=dict)
    _by_function: dict[int, str] = field(default_factory=dict)
    #: What each task was called before its name was made unique.
    _plain: dict[str, str] = field(default_factory=dict)

    # ── calls ───────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, task: Any, signature: Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Future:
        """Note a plain call of a task."""
        for name, wanted, value in signature.bind(args, kwargs):
            self._check(signature, name, wanted, value)
        who = signature.who
        return self._add(
            task,
            tuple(self.arg(value, who) for value in args),
            tuple((name, self.arg(value, who)) for name, value in kwargs.items()),
            signature.returns,
        )

    def map(
        self, task: Any, signature: Signature, iterables: Sequence[Any], constants: Mapping[str, Any]
    ) -> Future:
        """Note one call for each item: positional arguments are iterated, keywords are the same for all."""
        who = signature.who
        if not iterables:
            raise Invalid(
                f"{who}: .map() has nothing to iterate over", hint="write task.map(items, same_for_all=1)"
            )
        sources = [self._source(who, source) for source in iterables]
        args = self._iterated(who, sources)
        position = 0
        for name, wanted, value in signature.bind([_Items(source) for source in sources], constants):
            if isinstance(value, _Items):
                self._check_items(signature, name, wanted, value.source)
                position += 1
            else:
                self._check(signature, name, wanted, value)
        constant = tuple((name, self.arg(value, who)) for name, value in constants.items())
        return self._add(task, args, constant, signature.returns, mapped=len(args))

    def shell(
        self, name: str, command: str, kwargs: Mapping[str, Any], options: TaskOptions, result: Any
    ) -> Future:
        """Note a command."""
        arguments = tuple((key, self.arg(value, f"task {name!r}")) for key, value in kwargs.items())
        return self._spec(name, options, result, shell=command, kwargs=arguments)

    def map_shell(
        self,
        name: str,
        command: str,
        iterables: Sequence[Any],
        constants: Mapping[str, Any],
        options: TaskOptions,
        result: Any,
    ) -> Future:
        """Note a command for each item."""
        who = f"task {name!r}"
        args = self._iterated(who, [self._source(who, source) for source in iterables])
        constant = tuple((key, self.arg(value, who)) for key, value in constants.items())
        return self._spec(name, options, result, shell=command, args=args, kwargs=constant, mapped=len(args))

    def loop(
        self, turn: Callable[..., Any], body: Any, start: Any, until: Callable[[Any], Any], limit: int
    ) -> Future:
        """Note a loop: one dynamic task, that calls the turns."""
        for function in (body.function, until):  # they travel with the run's sources
            if names.key_of(function) is not None:
                self._function(function, body.name)
        return self._turn(body.name, turn, body, start, until, limit, 0)

    def _turn(
        self,
        name: str,
        turn: Callable[..., Any],
        body: Any,
        value: Any,
        until: Callable[[Any], Any],
        limit: int,
        done: int,
    ) -> Future:
        said = {"body": body, "until": until, "limit": limit, "done": done}
        who = f"the loop over {body.name!r}"
        return self._spec(
            name,
            TaskOptions(dynamic=True),
            body._signature().returns,
            function=self._function(turn, "turn"),
            args=(self.arg(value, who),),
            kwargs=tuple((key, self.arg(one, who)) for key, one in said.items()),
        )

    def wait(self, name: str, wait: Wait, options: TaskOptions, result: Any) -> Future:
        """Note an approval or a signal."""
        return self._spec(name, options, result, wait=wait)

    # ── arguments ───────────────────────────────────────────────────────────────────────────────────────────

    def arg(self, value: Any, who: str) -> Arg:
        """A value as the graph holds it: an output, a container of outputs, or a literal."""
        if isinstance(value, Given):
            self.values.setdefault(value.key, Encoded(Ref("json", None, 4, None, "None")))
            return Value(value.key)
        if isinstance(value, Future):
            self._own(value, who)
            return value.output
        if type(value) in (list, tuple) and holds_future(value):
            return ListOf(tuple(self.arg(item, who) for item in value), as_tuple=type(value) is tuple)
        if type(value) is dict and holds_future(value):
            for key in value:
                if type(key) is not str:
                    raise Invalid(
                        f"{who}: a dict that holds results has the key {key!r}", hint="use text as keys"
                    )
            return DictOf(tuple((key, self.arg(item, who)) for key, item in value.items()))
        return Value(self._literal(value, who))

    def _own(self, future: Future, who: str) -> None:
        if future.trace is not self:
            raise Invalid(
                f"{who} is given {future!r} of another run of a workflow",
                hint="call the task inside this workflow, and pass that result on",
            )

    def _literal(self, value: Any, who: str) -> str:
        """Key of an encoded literal; equal ones are kept once."""
        try:
            ref, blob = encode(value)
        except Invalid as error:
            raise type(error)(f"{who}: {error.message}", hint=error.hint) from error
        data = json.dumps(ref.data) if ref.kind == "json" else ref.data
        key = self._keys.setdefault((ref.kind, data), f"v{len(self._keys) + 1}")
        self.values.setdefault(key, Encoded(ref, blob))
        return key

    def _iterated(self, who: str, sources: Sequence[Future | list[Any]]) -> tuple[Arg, ...]:
        """What a map goes over, as arguments; lists that are known must be of one length."""
        lengths = {len(source) for source in sources if not isinstance(source, Future)}
        if len(lengths) > 1:
            counts = " and ".join(str(len(source)) for source in sources if not isinstance(source, Future))
            raise Invalid(
                f"{who}: .map() over lists of different length: {counts} items", hint="make them equally long"
            )
        return tuple(
            Output(source.output.task) if isinstance(source, Future) else self.arg(list(source), who)
            for source in sources
        )

    def _source(self, who: str, source: Any) -> Future | list[Any]:
        """What a map iterates: a future of a list, or a list made of any other iterable."""
        if isinstance(source, Given):
            raise Invalid(
                f"{who}: .map() over {source.key!r}, whose length is not known before the run",
                hint="let a task return it as a list, and map over that",
            )
        if isinstance(source, Future):
            self._own(source, who)
            return self._part(source) if source.output.path else source
        if isinstance(source, str | bytes | Mapping):
            hint = (
                "map over a list of texts"
                if not isinstance(source, Mapping)
                else "map over d.items() or d.values()"
            )
            raise Invalid(
                f"{who}: .map() over {short(source)}, which is one {type(source).__name__}", hint=hint
            )
        try:
            return list(source)
        except TypeError:
            raise Invalid(
                f"{who}: .map() over {short(source)} ({type(source).__name__}), which cannot be iterated",
                hint="positional arguments are iterated; pass what is the same for all by keyword",
            ) from None

    def _part(self, future: Future) -> Future:
        """A task that only selects: so the length of a part of a result is known before it is mapped over."""
        from headway.authoring import steps

        self.functions[steps.PICK] = steps.pick
        return self._spec(
            f"{self._bare(future)}-part",
            TaskOptions(),
            future.type,
            function=steps.PICK,
            args=(future.output,),
        )

    def _check(self, signature: Signature, name: str, wanted: Any, value: Any) -> None:
        if isinstance(value, Future):
            given = list if value.mapped else value.type
            signature.check_promise(name, wanted, name_of(value), given)
        elif not holds_future(value):
            signature.check(name, wanted, value)

    def _check_items(self, signature: Signature, name: str, wanted: Any, source: Future | list[Any]) -> None:
        if isinstance(source, Future):
            given = source.type if source.mapped else element_of(source.type)
            signature.check_promise(name, wanted, name_of(source), given)
            if not source.mapped and source.type in (int, float, bool, str, bytes, dict, type(None)):
                raise Invalid(
                    f"{signature.who}: .map() over the result of {name_of(source)!r}, which returns "
                    f"{getattr(source.type, '__name__', None)} and not a list",
                    hint="let it return a list",
                )
            return
        for index, item in enumerate(source):
            self._check(signature, f"{name}[{index}]", wanted, item)

    # ── branches ────────────────────────────────────────────────────────────────────────────────────────────

    def branch(self, condition: Any, then: Callable[[], Any], otherwise: Callable[[], Any] | None) -> Any:
        """Note both branches of `when`, and a task that gives the result of the one that was taken."""
        from headway.authoring import steps

        if not isinstance(condition, Given):
            self._own(condition, "when()")
        self.functions[steps.TRUTH], self.functions[steps.TAKE] = steps.truth, steps.take
        asked = self._spec(
            "when", TaskOptions(), bool, function=steps.TRUTH, args=(self.arg(condition, "when()"),)
        )
        results: list[Any] = []
        for body, be in ((then, True), (otherwise, False)):
            with self.under(When(asked.output.task, be)):
                results.append(None if body is None else body())
        if not any(holds_future(result) for result in results) and results[0] is None and results[1] is None:
            return None
        return self._spec(
            f"{self._bare(asked)}-result",
            TaskOptions(rule="none_failed"),
            Parameter.empty,
            function=steps.TAKE,
            args=(asked.output, *(self.arg(result, "the result of when()") for result in results)),
        )

    @contextmanager
    def under(self, condition: When) -> Iterator[None]:
        """Calls noted in the with block run on this condition; one around it holds if this one is asked at all."""
        before, self.condition = self.condition, condition
        try:
            yield
        finally:
            self.condition = before

    @contextmanager
    def behind(self, results: Sequence[Any], who: str) -> Iterator[None]:
        """The call noted in the with block waits for these too."""
        names: dict[str, None] = {}
        for result in results:
            for output in outputs_of(self.arg(result, who)) if holds_future(result) else ():
                names[output.task] = None
        if not names:
            raise Invalid(
                f"{who}: .after() is given no result", hint="pass what a task gave: f.after(g(x))()"
            )
        before, self.after = self.after, tuple({**dict.fromkeys(self.after), **names})
        try:
            yield
        finally:
            self.after = before

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Calls noted in the with block are those of a workflow called here: its name stands before theirs."""
        before, self.prefix = self.prefix, f"{self._unique(name)}."
        try:
            yield
        finally:
            self.prefix = before

    def _bare(self, future: Future) -> str:
        """The name of the future's task as it is called here."""
        return future.output.task.removeprefix(self.prefix)

    # ── nodes ───────────────────────────────────────────────────────────────────────────────────────────────

    def _add(
        self,
        task: Any,
        args: tuple[Arg, ...],
        kwargs: tuple[tuple[str, Arg], ...],
        returns: Any,
        mapped: int = 0,
    ) -> Future:
        key = self._function(task.function, task.name)
        return self._spec(
            task.name, task.node, returns, function=key, args=args, kwargs=kwargs, mapped=mapped
        )

    def _spec(
        self, name: str, options: TaskOptions, returns: Any, *, mapped: int = 0, **fields: Any
    ) -> Future:
        cache = options.cache
        if cache is not None and fields.get("function"):
            cache = coded(cache, self.functions[fields["function"]], f"task {name!r}")
        plain, name = name, self._unique(name)
        self._plain[name] = plain
        self.tasks.append(
            TaskSpec(
                name=name,
                mapped=mapped,
                demand=options.demand,
                estimate=options.estimate,
                priority=options.priority,
                retry=options.retry,
                timeout=options.timeout,
                at_most_once=options.at_most_once,
                where=options.where,
                restart=options.restart,
                variants=options.variants,
                gang=options.gang and mapped > 0,
                within=options.within if mapped else (),
                after=self.after,
                rule=options.rule,
                dynamic=options.dynamic,
                when=self.condition,
                deadline=options.deadline,
                cost=options.cost,
                cache=cache,
                environment=options.environment,
                beside=options.beside,
                **fields,
            )
        )
        return Future(self, Output(name), mapped=mapped > 0, type=returns)

    def _unique(self, name: str) -> str:
        """`train`, then `train-2`, `train-3`, …; in a workflow that was called `prep.train`."""
        name = self.prefix + (re.sub(r"[^\w.\-]", "", name).lstrip(".-") or "task")
        if len(name) > _NAME_MOST:  # deep in workflows: what tells it apart stands at the end
            name = f"{name[:20]}..{name[22 - _NAME_MOST :]}"
        while True:
            count = self._used[name] = self._used.get(name, 0) + 1
            if count == 1:
                return name
            if f"{name}-{count}" not in self._used:
                self._used[f"{name}-{count}"] = 1
                return f"{name}-{count}"

    def _function(self, function: Callable[..., Any], name: str) -> str:
        """The function's key in the bundle."""
        if id(function) not in self._by_function:
            key = names.key_of(function) or f"{names.PICKLED}{name}"
            count = 1
            while self.functions.get(key, function) is not function:
                count += 1
                key = f"{names.PICKLED}{name}-{count}"
            self.functions[key] = function
            self._by_function[id(function)] = key
        return self._by_function[id(function)]

    def finish(self, result: Any, options: WorkflowOptions) -> Traced:
        """The graph, checked."""
        returned = None if result is None else self.arg(result, f"the result of workflow {self.name!r}")
        tasks = tuple(grouped(self.tasks, self._plain))
        workflow = Workflow(self.name, tasks, returned, options.tenant, options.weight, options.deadline)
        traced = Traced(workflow, self.values, self.functions)
        validate_workflow(workflow, traced.refs)
        return traced


class _Items:
    """Marks an argument that is iterated while a signature is bound."""

    __slots__ = ("source",)

    def __init__(self, source: Future | list[Any]) -> None:
        self.source = source


def holds_future(value: Any, depth: int = 50) -> bool:
    """Whether a future is inside, looking into lists, tuples and dicts only."""
    if isinstance(value, Future):
        return True
    kind = type(value)
    if not depth or kind not in (list, tuple, dict):
        return False
    inside: Iterable[Any] = value.values() if kind is dict else value
    return any(holds_future(item, depth - 1) for item in inside)
