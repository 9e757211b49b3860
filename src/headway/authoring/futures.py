"""What a task's call gives while a workflow is traced: a stand-in for the result, to be passed on only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

from headway.domain.workflow import Output
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.authoring.tracing import Trace


class FutureUsed(Invalid, TypeError):
    """A result was used while the graph is being traced, when there is none yet."""

    code = "future_used"


class _NoSuchAttribute(FutureUsed, AttributeError):
    """The same for `result.x`; Python's protocols ask for attributes and expect this kind of error."""


class Future:
    """The result of a task that will run: to be passed on, in lists, tuples, dicts too; `[i]` selects a part.

    Attributes:
        output: Which task's result, and which part of it.
        mapped: Whether it is all results of a mapped task.
        type: Annotation of the result, where known.
    """

    __slots__ = ("mapped", "output", "trace", "type")

    def __init__(self, trace: Trace, output: Output, *, mapped: bool, type: Any) -> None:
        self.trace, self.output, self.mapped, self.type = trace, output, mapped, type

    def __getitem__(self, step: int | str) -> Future:
        if isinstance(step, bool) or not isinstance(step, int | str):
            _teach(
                self, f"[{step!r}]", "select by a number or a text, one part at a time; slice inside a task"
            )
        from inspect import Parameter

        return Future(
            self.trace,
            Output(self.output.task, (*self.output.path, step)),
            mapped=False,
            type=Parameter.empty,
        )

    def __repr__(self) -> str:
        return f"<result of {name_of(self)}>"

    def __bool__(self) -> NoReturn:
        _teach(self, "a truth value (if, and, or, not, while)", "decide inside a task, which gets the value")

    def __iter__(self) -> NoReturn:
        _teach(self, "something to iterate over", "write task.map(result): one task for each item")

    def __len__(self) -> NoReturn:
        _teach(self, "something with a length", "count inside a task, which gets the value")

    def __contains__(self, item: object) -> NoReturn:
        _teach(self, "something to look into (in)", "look inside a task, which gets the value")

    def __eq__(self, other: object) -> NoReturn:
        _teach(self, "something to compare", "compare inside a task, which gets the value")

    __hash__ = object.__hash__

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        _teach(self, "a function", "call it inside a task, which gets the value")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # copy, inspect and others ask for protocols; they must hear a plain no
            raise AttributeError(name)
        raise _NoSuchAttribute(
            _message(self, f"an object with .{name}"),
            hint='select with ["key"] or [0], or read it inside a task',
        )

    def __format__(self, spec: str) -> NoReturn:
        _teach(self, "text", "format it inside a task, which gets the value")

    def __await__(self) -> NoReturn:
        _teach(self, "something to await", "just pass it on: who needs it waits for it")

    def __reduce__(self) -> NoReturn:
        _teach(self, "part of a value", "pass it directly, or inside lists, tuples and dicts with text keys")


class Given(Future):
    """What each run of a schedule will be given: stands for a parameter of the workflow, to be passed on to tasks."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        from inspect import Parameter

        self.key = key
        super().__init__(cast("Trace", None), Output(key), mapped=False, type=Parameter.empty)

    def __getitem__(self, step: int | str) -> Future:
        _teach(self, f"[{step!r}]", "select inside a task, which gets the value")

    def __repr__(self) -> str:
        return f"<{self.key} of a scheduled run>"


def name_of(future: Future) -> str:
    """`train`, `train["loss"]`."""
    return future.output.task + "".join(f"[{step!r}]" for step in future.output.path)


def _message(future: Future, use: str) -> str:
    why = "it has not run: a workflow only says which task gets which result"
    if isinstance(future, Given):
        why = "each run of the schedule has its own: pass it on to a task"
    return f"{name_of(future)} is used as {use}, but {why}"


def _teach(future: Future, use: str, instead: str) -> NoReturn:
    raise FutureUsed(_message(future, use), hint=instead)


def _operator(symbol: str) -> Any:
    def refuse(self: Future, *others: Any) -> NoReturn:
        _teach(self, f"a number or text ({symbol})", "calculate inside a task, which gets the value")

    return refuse


for _name, _symbol in {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "matmul": "@", "and": "&", "or": "|", "xor": "^",
}.items():  # fmt: skip
    setattr(Future, f"__{_name}__", _operator(_symbol))
    setattr(Future, f"__r{_name}__", _operator(_symbol))
for _name, _symbol in {
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "ne": "!=", "neg": "-", "int": "int()", "float": "float()",
    "index": "as an index", "round": "round()", "abs": "abs()",
}.items():  # fmt: skip
    setattr(Future, f"__{_name}__", _operator(_symbol))
