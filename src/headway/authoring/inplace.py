"""A plain call of a workflow: its tasks run in place, and end as they would in a run.

A task that raises does not end the call: as in a run, what needs its result is skipped, what has a rule is asked, the rest
goes on, and then the first error is raised, as it was. Until then a `Missing` stands for the result that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from headway.domain.rules import GO, RULES, Ends, judge
from headway.errors import Invalid

_failures: ContextVar[list[Exception] | None] = ContextVar("headway_failures", default=None)


class Missing:
    """What a task that failed or was skipped gave. Any use but passing it on raises the error.

    Attributes:
        error: Because of which it is not there, or None if a rule skipped it.
    """

    __slots__ = ("error",)

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def _use(self, *_: Any, **__: Any) -> NoReturn:
        if self.error is not None:
            raise self.error
        raise Invalid("the result of a task that was skipped is used", hint="use it inside a task")

    def __getitem__(self, step: Any) -> Missing:
        return self

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        self._use()

    __bool__ = __iter__ = __len__ = __contains__ = __call__ = __float__ = __int__ = __index__ = _use
    __lt__ = __le__ = __gt__ = __ge__ = __format__ = _use
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _use


@contextmanager
def collecting() -> Iterator[None]:
    """Around the body of the outermost workflow: raises the first error of its tasks at the end."""
    token = _failures.set([])
    try:
        yield
        failures = _failures.get()
        if failures:
            raise failures[0]
    finally:
        _failures.reset(token)


def attempt(
    run: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], rule: str, after: Sequence[Any]
) -> Any:
    """Run a task as its rule says, or give a `Missing`."""
    given = [args, kwargs, after]
    missing = list(_missing(given))
    if missing or rule != RULES[0]:
        failed = [one for one in missing if one.error is not None]
        ends = Ends(failed=len(failed), skipped=len(missing) - len(failed))
        if judge(rule, ends) != GO:
            return Missing(failed[0].error if failed and rule in ("all_success", "none_failed") else None)
        args, kwargs = plain(args), plain(kwargs)
    failures = _failures.get()
    if failures is None:
        return run(*args, **kwargs)
    try:
        return run(*args, **kwargs)
    except Exception as error:
        failures.append(error)
        return Missing(error)


def _missing(value: Any, depth: int = 50) -> Iterator[Missing]:
    if isinstance(value, Missing):
        yield value
    elif depth and type(value) in (list, tuple, dict):
        inside: Iterable[Any] = value.values() if type(value) is dict else value
        for item in inside:
            yield from _missing(item, depth - 1)


def plain(value: Any) -> Any:
    """The same with None in place of what is missing; the same object if nothing is."""
    if isinstance(value, Missing):
        return None
    if next(_missing(value), None) is None:
        return value
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    return type(value)(plain(item) for item in value)
