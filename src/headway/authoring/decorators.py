"""`@task` and `@workflow`: functions that stay functions, and can be traced into a graph."""

from __future__ import annotations

import functools
import importlib
import inspect
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


class TaskFunction(Generic[P, R]):
    """A function that a workflow runs as a task.

    In a workflow a call gives a stand-in for the result; anywhere else it is the plain function.

    Attributes:
        function: The function itself.
        name: What its tasks are called.
        options: What each attempt holds, and what happens when it fails.
    """

    def __init__(self, function: Callable[P, R], name: str, options: TaskOptions) -> None:
        functools.update_wrapper(self, function)
        self.function, self.name, self.options = function, name, options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = mode.get()
        if isinstance(here, Trace):
            return cast(R, here.call(self, self._signature(), args, kwargs))
        if here == IN_PLACE:
            return cast(R, self._in_place(args, kwargs))
        return self.function(*args, **kwargs)

    def after(self, *results: Any) -> After[P, R]:
        """The task, to be called once these results are there too, though it does not take them.

        Args:
            results: What other tasks gave. The task's `rule` counts them like those it takes.
        """
        return After(self, results)

    def _in_place(self, args: Any, kwargs: Mapping[str, Any], after: Sequence[Any] = ()) -> Any:
        def run(*args: Any, **kwargs: Any) -> Any:
            return run_in_place(self.function, args, kwargs)

        return attempt(run, args, kwargs, self.options.rule, after)

    def _map_in_place(
        self, iterables: Sequence[Any], constants: Mapping[str, Any], after: Sequence[Any] = ()
    ) -> Any:
        if not iterables:
            raise Invalid(
                f"task {self.name!r}: .map() has nothing to iterate over", hint="write task.map(items)"
            )
        gone = next((source for source in iterables if isinstance(source, Missing)), None)
        if gone is not None:
            return gone
        try:
            together = list(zip(*iterables, strict=True))
        except ValueError as error:
            raise Invalid(f"task {self.name!r}: .map() over lists of different length: {error}") from None
        return [self._in_place(items, constants, after) for items in together]

    def map(self, *iterables: Any, **constants: Any) -> list[R]:
        """One task for each item.

        Args:
            iterables: Iterated together, like `zip`, and of one length. A list, or the result of a task that
                gives a list; of a mapped task's results each flows on alone.
            constants: The same for all.
        """
        here = mode.get()
        if isinstance(here, Trace):
            return cast("list[R]", here.map(self, self._signature(), iterables, constants))
        return cast("list[R]", self._map_in_place(iterables, constants))

    def _signature(self) -> Signature:
        found = self.__dict__.get("_read")
        if found is None:
            found = self.__dict__["_read"] = Signature(self.function, f"task {self.name!r}")
        return cast(Signature, found)

    def __reduce__(self) -> Any:
        """By name where that leads here, else by value: a task may be a global of a function that travels."""
        key = names.key_of(self.function)
        if key is not None:
            return names.by_name, tuple(key.split(":", 1))
        return TaskFunction, (self.function, self.name, self.options)

    def __repr__(self) -> str:
        return f"<task {self.name}>"


class After(Generic[P, R]):
    """A task that also waits for results which it does not take."""

    def __init__(self, task: TaskFunction[P, R], results: Sequence[Any]) -> None:
        self._task, self._results = task, results

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"task {self._task.name!r}"):
                return self._task(*args, **kwargs)
        return cast(R, self._task._in_place(args, kwargs, self._results))

    def map(self, *iterables: Any, **constants: Any) -> list[R]:
        """As `task.map`; each item waits for these results."""
        here = mode.get()
        if isinstance(here, Trace):
            with here.behind(self._results, f"task {self._task.name!r}"):
                return self._task.map(*iterables, **constants)
        return cast("list[R]", self._task._map_in_place(iterables, constants, self._results))


class WorkflowFunction(Generic[P, R]):
    """A function whose body says which task gets which result.

    Called plainly it runs in place, like any function. `.run()` runs it through the engine in this process,
    `.submit()` on a service, `.simulate()` under a virtual clock.
    """

    def __init__(self, function: Callable[P, R], name: str, options: WorkflowOptions) -> None:
        functools.update_wrapper(self, function)
        self.function, self.name, self.options = function, name, options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self._check(args, kwargs)
        if isinstance(mode.get(), Trace):  # a workflow in a workflow: its tasks are the outer one's
            return self.function(*args, **kwargs)
        if mode.get() == IN_PLACE:  # in another one's body
            return self.function(*args, **kwargs)
        with entered(IN_PLACE), collecting():
            result = self.function(*args, **kwargs)
        return cast(R, plain(result))

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

    def _signature(self) -> Signature:
        found = self.__dict__.get("_read")
        if found is None:
            found = self.__dict__["_read"] = Signature(self.function, f"workflow {self.name!r}")
        return cast(Signature, found)

    def __reduce__(self) -> Any:
        key = names.key_of(self.function)
        if key is not None:
            return names.by_name, tuple(key.split(":", 1))
        return WorkflowFunction, (self.function, self.name, self.options)

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


def _api() -> Any:
    """`headway.api`, which stands above this room: found by name, and only when it is asked for."""
    names.alias_main()
    return importlib.import_module("headway.api")


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
        options: cpu (cores, 1 if not said), memory ("2GiB"), gpu (a share or whole devices), resources
            ({"license": 1}), estimate and timeout (seconds or "10min"), priority (higher goes first), retries
            (after a failure of its own) or retry (`Retry(5, on=ConnectionError)`: after chosen ones), deadline (when it
            should be complete: "2h" after the submission, or a moment), cost (price of an hour that it runs),
            cache (True, or "7d": take the result of an earlier run with the same code, version and arguments), version,
            env ({"MODE": "fast"}), cwd, venv (a virtual environment on the nodes) or requirements (what one is made of),
            at_most_once (never run again once it may have started), where (what the labels of its node must say:
            "zone != eu-1 and gpu_type in (a100, h100)"), restart (what an attempt needs before it goes on from a
            checkpoint; learned if not said), variants (ways to run it, of which one is chosen
            in its turn: [dict(gpu=1, estimate="10min"), dict(cpu=16, estimate="2h")]), rule (what must be true of how those
            before it ended: all_success if not said, all_done, one_failed, none_failed, none_skipped), name.

    Raises:
        Invalid: An unknown option, or a value that makes no sense; both name the task.
    """
    return _decorate(
        "task", function, options, lambda f, name, who: TaskFunction(f, name, task_options(who, options))
    )


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
