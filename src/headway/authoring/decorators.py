"""`@task` and `@workflow`: functions that stay functions, and can be traced into a graph."""

from __future__ import annotations

import functools
import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from headway.authoring import loading, names
from headway.authoring.checking import Signature
from headway.authoring.inplace import Missing, attempt, collecting, plain
from headway.authoring.options import TaskOptions, WorkflowOptions, task_options, workflow_options
from headway.authoring.secrets import revealed
from headway.authoring.tracing import IN_PLACE, Trace, Traced, entered, holds_future, mode
from headway.errors import Invalid

P = ParamSpec("P")
R = TypeVar("R")


class Decorated(ABC, Generic[P, R]):
    """What tasks and workflows have in common: a function with a name, that can be called, mapped and made to wait.

    Attributes:
        function: The function itself.
        name: What its tasks are called, or what stands before the names of its tasks.
    """

    what = ""

    def __init__(self, function: Callable[P, R], name: str) -> None:
        functools.update_wrapper(self, function)
        self.function, self.name = function, name

    @abstractmethod
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What a call means here: noted in a graph, run in place, or just the function."""

    @property
    @abstractmethod
    def node(self) -> TaskOptions:
        """Of the task that stands for it in a graph."""

    def after(self, *results: Any) -> After[P, R]:
        """The same, to be called once these results are there too, though it does not take them.

        Args:
            results: What other tasks gave. The task's `rule` counts them like those it takes.
        """
        return After(self, results)

    def map(self, *iterables: Any, **constants: Any) -> list[R]:
        """One call for each item.

        Args:
            iterables: Iterated together, like `zip`, and of one length. A list, or the result of a task that
                gives a list; of a mapped task's results each flows on alone.
            constants: The same for all.
        """
        here = mode.get()
        if isinstance(here, Trace):
            return cast("list[R]", here.map(self, self._signature(), iterables, constants))
        return cast("list[R]", self._map_in_place(iterables, constants))

    @abstractmethod
    def _body(self, args: Any, kwargs: Mapping[str, Any]) -> Any:
        """What one call of it comes to where nothing is traced."""

    def _in_place(self, args: Any, kwargs: Mapping[str, Any], after: Sequence[Any] = ()) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            return self._body(args, kwargs)

        return attempt(run, args, kwargs, self.node.rule, after)

    def _map_in_place(
        self, iterables: Sequence[Any], constants: Mapping[str, Any], after: Sequence[Any] = ()
    ) -> Any:
        if not iterables:
            raise Invalid(
                f"{self.what} {self.name!r}: .map() has nothing to iterate over",
                hint=f"write {self.what}.map(items)",
            )
        gone = next((source for source in iterables if isinstance(source, Missing)), None)
        if gone is not None:
            return gone
        try:
            together = list(zip(*iterables, strict=True))
        except ValueError as error:
            raise Invalid(
                f"{self.what} {self.name!r}: .map() over lists of different length: {error}"
            ) from None
        return [self._in_place(items, constants, after) for items in together]

    def _signature(self) -> Signature:
        found = self.__dict__.get("_read")
        if found is None:
            found = self.__dict__["_read"] = Signature(self.function, f"{self.what} {self.name!r}")
        return cast(Signature, found)

    def __repr__(self) -> str:
        return f"<{self.what} {self.name}>"


class TaskFunction(Decorated[P, R]):
    """A function that a workflow runs as a task.

    In a workflow a call gives a stand-in for the result; anywhere else it is the plain function.

    Attributes:
        options: What each attempt holds, and what happens when it fails.
    """

    what = "task"

    def __init__(self, function: Callable[P, R], name: str, options: TaskOptions) -> None:
        super().__init__(function, name)
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = mode.get()
        if isinstance(here, Trace):
            return cast(R, here.call(self, self._signature(), args, kwargs))
        if here == IN_PLACE:
            return cast(R, self._in_place(args, kwargs))
        return self.function(*args, **kwargs)

    @property
    def node(self) -> TaskOptions:
        return self.options

    def _body(self, args: Any, kwargs: Mapping[str, Any]) -> Any:
        if self.options.dynamic:  # what it calls are tasks, and the first that fails is its error
            return _drawn_in_place(self.function, args, kwargs)
        return run_in_place(self.function, args, kwargs)

    def __reduce__(self) -> Any:
        """By name where that leads here, else by value: a task may be a global of a function that travels."""
        key = names.key_of(self.function)
        if key is not None:
            return names.by_name, tuple(key.split(":", 1))
        return TaskFunction, (self.function, self.name, self.options)


class After(Generic[P, R]):
    """A task or a workflow that also waits for results which it does not take."""

    def __init__(self, what: Decorated[P, R], results: Sequence[Any]) -> None:
        self._what, self._results = what, results

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"{self._what.what} {self._what.name!r}"):
                return self._what(*args, **kwargs)
        return cast(R, self._what._in_place(args, kwargs, self._results))

    def map(self, *iterables: Any, **constants: Any) -> list[R]:
        """As `task.map`; each item waits for these results."""
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"{self._what.what} {self._what.name!r}"):
                return self._what.map(*iterables, **constants)
        return cast("list[R]", self._what._map_in_place(iterables, constants, self._results))


class WorkflowFunction(Decorated[P, R]):
    """A function whose body says which task gets which result.

    Called plainly it runs in place, like any function. `.run()` runs it through the engine in this process,
    `.submit()` on a service, `.simulate()` under a virtual clock. Called in another workflow, its tasks are that one's.
    """

    what = "workflow"

    def __init__(self, function: Callable[P, R], name: str, options: WorkflowOptions) -> None:
        super().__init__(function, name)
        self.options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self._check(args, kwargs)
        here = mode.get()
        if isinstance(here, Trace):  # a workflow in a workflow: its tasks are the outer one's
            with here.inside(self.name):
                return self.function(*args, **kwargs)
        if here == IN_PLACE:  # in another one's body
            return self.function(*args, **kwargs)
        return cast(R, self._body(args, kwargs))

    @property
    def node(self) -> TaskOptions:
        return _WORKFLOW_NODE

    def _body(self, args: Any, kwargs: Mapping[str, Any]) -> Any:
        return _drawn_in_place(self.function, args, kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The graph for these arguments. Runs the workflow's body, and none of its tasks.

        Raises:
            Invalid: Arguments that do not fit, a result used too early, a graph that could not run.
        """
        self._check(args, kwargs)
        trace = Trace(self.name)
        with entered(trace):
            result = self.function(*args, **kwargs)
        return trace.finish(result, self.options)

    def parse(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Parameters typed as text, as the values the annotations want. Raises Invalid with the name."""
        return self._signature().read_text(texts)

    def listed(self) -> list[tuple[str, str, str]]:
        """(parameter, its type, its default) as text, for people."""
        return self._signature().listed()

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Its parameters, for help texts."""
        return dict(inspect.signature(self.function).parameters)

    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run through the engine, in this process and with workers of its own; returns the result."""
        loading.refuse_while_loading(f"{self.name}.run()")
        return cast(R, _api().run_inline(self, args, kwargs))

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Hand the workflow to the service; returns a handle of the run."""
        loading.refuse_while_loading(f"{self.name}.submit()")
        return _api().submit(self, args, kwargs)

    def simulate(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """What a run on this machine would be like, by its tasks' estimates; none of them is run.

        Other nodes, several policies and other lengths: `headway.api.simulate(workflow, args, policies=…)`.
        """
        loading.refuse_while_loading(f"{self.name}.simulate()")
        return _api().simulate(self, args, kwargs)

    def _check(self, args: Any, kwargs: Mapping[str, Any]) -> None:
        signature = self._signature()
        for name, wanted, value in signature.bind(args, kwargs):
            if not holds_future(value):
                signature.check(name, wanted, value)

    def __reduce__(self) -> Any:
        key = names.key_of(self.function)
        if key is not None:
            return names.by_name, tuple(key.split(":", 1))
        return WorkflowFunction, (self.function, self.name, self.options)


#: A workflow that is mapped stands in the graph as a task that draws its body's tasks as soon as its item is there.
_WORKFLOW_NODE = TaskOptions(dynamic=True)


def _api() -> Any:
    """`headway.api`, which stands above this room: found by name, and only when it is asked for."""
    names.alias_main()
    return importlib.import_module("headway.api")


def _drawn_in_place(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Run a body that calls tasks: they run in place, and the first error is raised when all have ended."""
    with entered(IN_PLACE), collecting():
        result = function(*args, **kwargs)
    return plain(result)


def run_in_place(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """Call a task's function as a worker would: with the values of secrets, tasks in it are plain functions, coroutines are run."""
    args, kwargs = revealed(args), revealed(kwargs)
    with entered(None):
        result = function(*args, **kwargs)
        if not inspect.iscoroutine(result):
            return result
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(result)
        from concurrent.futures import ThreadPoolExecutor

        # Somebody's event loop runs in this thread (a notebook's, a test's): ours needs another.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, result).result()


@overload
def task(function: Callable[P, R], /) -> TaskFunction[P, R]: ...
@overload
def task(**options: Any) -> Callable[[Callable[P, R]], TaskFunction[P, R]]: ...
def task(function: Any = None, /, **options: Any) -> Any:
    """Make a function a task.

    Args:
        function: Sync or async.
        options: cpu (cores, 1 if not said), memory ("2GiB"), gpu (a share or whole devices), gpu_memory (of each: "20GiB"), resources
            ({"license": 1}), estimate and timeout (seconds or "10min"), priority (higher goes first), retries
            (after a failure of its own) or retry (`Retry(5, on=ConnectionError)`: after chosen ones), deadline (when it
            should be complete: "2h" after the submission, or a moment), cost (price of an hour that it runs),
            cache (True, or "7d": take the result of an earlier run with the same code, version and arguments), version,
            env ({"MODE": "fast"}), cwd, venv (a virtual environment on the nodes) or requirements (what one is made of),
            at_most_once (never run again once it may have started), where (what the labels of its node must say:
            "zone != eu-1 and gpu_type in (a100, h100)"), restart (what an attempt needs before it goes on from a
            checkpoint; learned if not said), variants (ways to run it, of which one is chosen
            in its turn: [dict(gpu=1, estimate="10min"), dict(cpu=16, estimate="2h")]), rule (what must be true of how those
            before it ended: all_success if not said, all_done, one_failed, none_failed, none_skipped), dynamic (its body
            runs in a worker, and the tasks that it calls join the run: what it returns is their result), group, near, apart
            and spread (which others it must run beside, or not: near="cache within rack", apart="server",
            spread="zone by 2"), name.

    Raises:
        Invalid: An unknown option, or a value that makes no sense; both name the task.
    """

    def make(f: Any, name: str, who: str) -> TaskFunction[..., Any]:
        read = task_options(who, options, name)
        if read.dynamic and inspect.iscoroutinefunction(f):
            raise Invalid(
                f"{who} is dynamic and async, but its body only calls tasks: nothing in it can be awaited",
                hint="write `def`; the tasks that it calls may be async",
            )
        return TaskFunction(f, name, read)

    return _decorate("task", function, options, make)


@overload
def workflow(function: Callable[P, R], /) -> WorkflowFunction[P, R]: ...
@overload
def workflow(**options: Any) -> Callable[[Callable[P, R]], WorkflowFunction[P, R]]: ...
def workflow(function: Any = None, /, **options: Any) -> Any:
    """Make a function a workflow.

    Args:
        function: Its body calls tasks and passes their results on.
        options: tenant (whose resources it draws on), weight (of its completion time, 1 if not said), deadline
            (when the run should be complete: "2h" after the submission, or a moment), name.

    Raises:
        Invalid: An unknown option, or a value that makes no sense; both name the workflow.
    """

    def make(f: Any, name: str, who: str) -> WorkflowFunction[..., Any]:
        if inspect.iscoroutinefunction(f):
            raise Invalid(
                f"{who} is async, but its body only draws the graph: nothing in it can be awaited",
                hint="write `def`; the tasks may be async",
            )
        return WorkflowFunction(f, name, workflow_options(who, options))

    return _decorate("workflow", function, options, make)


def _decorate(
    what: str, function: Any, options: Mapping[str, Any], make: Callable[[Any, str, str], Any]
) -> Any:
    """With and without brackets; refuses what is no function."""

    def decorate(f: Any) -> Any:
        if isinstance(f, TaskFunction | WorkflowFunction):
            raise Invalid(f"@{what} on {f!r}, which is decorated already", hint="keep one of the two")
        if not inspect.isroutine(f):
            raise Invalid(f"@{what} on {f!r}, which is not a function", hint=f"write @{what} above a def")
        name = options.get("name", f.__name__)
        if not isinstance(name, str) or not name:
            raise Invalid(
                f"@{what} on {f.__name__!r}: name={name!r} is not a text", hint='write name="train"'
            )
        who = f"{what} {name!r}"
        if inspect.isgeneratorfunction(f) or inspect.isasyncgenfunction(f):
            raise Invalid(
                f"{who} yields, but has to give all at once", hint="collect into a list and return it"
            )
        return make(f, name, who)

    if function is None:
        return decorate
    if options:
        raise Invalid(
            f"{what}() takes a function or options, not both", hint=f"write @{what}(...) above a def"
        )
    return decorate(function)
