"""Arguments against a function's own signature: which are missing or unknown, which are of the wrong type.

Most values are judged by `isinstance`; only where that does not settle it is pydantic loaded, which knows
every annotation.
"""

from __future__ import annotations

import inspect
import json
import numbers
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from headway.authoring.secrets import Secret, holds_secret
from headway.authoring.values import short
from headway.domain.codec import nearest
from headway.errors import Invalid

_UNSAID: Any = inspect.Parameter.empty
_STARS = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: Classes of which a value is either exactly that or certainly not usable as another of them.
_CONCRETE = (int, float, complex, str, bytes, list, tuple, dict, set, frozenset, type(None))


class Signature:
    """A function's parameters with their annotations, read once.

    Args:
        function: Of a task or a workflow.
        who: `task 'train'`, for the errors.
    """

    def __init__(self, function: Callable[..., Any], who: str) -> None:
        self.who = who
        try:
            self._signature = inspect.signature(function)
        except (TypeError, ValueError):  # some builtins have none
            self._signature = inspect.Signature(
                [inspect.Parameter("args", _STARS[0]), inspect.Parameter("kwargs", _STARS[1])]
            )
        try:
            self._hints = typing.get_type_hints(function, include_extras=True)
        except Exception:  # an annotation may name what exists only for type checkers
            self._hints = {}

    @property
    def returns(self) -> Any:
        """The annotation of the result, or `inspect.Parameter.empty`."""
        return self._hints.get("return", _UNSAID)

    @property
    def parameters(self) -> dict[str, Any]:
        """Annotation by parameter."""
        return {name: self._hints.get(name, _UNSAID) for name in self._signature.parameters}

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        """Match arguments to parameters.

        Returns:
            (parameter, its annotation, argument) of each that was given.

        Raises:
            Invalid: One is missing, unknown, or too many.
        """
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            known = list(self._signature.parameters)
            unknown = [name for name in kwargs if name not in known]
            if unknown and not self._takes_any_name():
                hint = nearest(unknown[0], known) if known else "it takes no parameters"
                raise Invalid(f"{self.who} has no parameter {unknown[0]!r}", hint=hint) from None
            takes = ", ".join(
                name + (f": {kind}" if kind else "") + (f" = {usual}" if usual else "")
                for name, kind, usual in self.listed()
            )
            raise Invalid(f"{self.who}: {error}", hint=f"it takes ({takes})") from None
        return self._pairs(bound.arguments)

    def _takes_any_name(self) -> bool:
        return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in self._signature.parameters.values())

    def _pairs(self, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        for name, value in arguments.items():
            wanted = self._hints.get(name, _UNSAID)
            kind = self._signature.parameters[name].kind
            if kind is _STARS[0]:
                yield from ((f"*{name}", wanted, item) for item in value)
            elif kind is _STARS[1]:
                yield from ((key, wanted, item) for key, item in value.items())
            else:
                yield name, wanted, value

    def read_text(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Arguments typed on a command line, as the values their parameters want: `{"n": "3"}` -> `{"n": 3}`.

        Raises:
            Invalid: Names the parameter, what came and what was wanted.
        """
        known = list(self._signature.parameters)
        for name in texts:
            if name not in known and not self._takes_any_name():
                hint = nearest(name, known) if known else "it takes no parameters"
                raise Invalid(f"{self.who} has no parameter {name!r}", hint=hint)
        return {name: self._read(name, text) for name, text in texts.items()}

    def _read(self, name: str, text: str) -> Any:
        wanted = self._hints.get(name, _UNSAID)
        if wanted is str:
            return text
        candidates = [text]
        with suppress(ValueError):
            candidates.insert(0, json.loads(text))
        if wanted is _UNSAID:
            return candidates[0]
        for candidate in candidates:
            if wrong(wanted, candidate) is None:
                return candidate
        try:
            return _adapter(wanted).validate_python(text)  # lax: dates, paths, enums from their text
        except Exception:
            with suppress(Exception):
                return _adapter(wanted).validate_json(text)  # dataclasses and what holds them
            raise Invalid(f"{self.who}: parameter {name!r} is {text!r}, expected {named(wanted)}") from None

    def listed(self) -> list[tuple[str, str, str]]:
        """(parameter, its type, its default) for people; empty where there is none."""
        found = []
        for name, parameter in self._signature.parameters.items():
            wanted = self._hints.get(name, _UNSAID)
            usual = "" if parameter.default is _UNSAID else short(parameter.default)
            found.append((name, "" if wanted is _UNSAID else named(wanted), usual))
        return found

    def check(self, name: str, wanted: Any, value: Any) -> None:
        """Raises Invalid with the parameter, what came and what was wanted, unless the value conforms."""
        if isinstance(value, Secret):
            problem = f"{value!r}, a text, expected {named(wanted)}" if clash(str, wanted) else None
        else:  # what stands for a text deeper inside is only judged when the text is there, by the task itself
            problem = None if holds_secret(value) else wrong(wanted, value)
        if problem is not None:
            raise Invalid(f"{self.who}: parameter {name!r} is {problem}", parameter=name)

    def check_promise(self, name: str, wanted: Any, producer: str, given: Any) -> None:
        """Refuse the result of a task that says it returns something which clearly does not fit."""
        if clash(given, wanted):
            raise Invalid(
                f"{self.who}: parameter {name!r} is the result of {producer!r}, "
                f"which returns {named(given)}, expected {named(wanted)}",
                parameter=name,
            )


def named(annotation: Any) -> str:
    """An annotation as one writes it."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "").replace("collections.abc.", "")


def wrong(wanted: Any, value: Any) -> str | None:
    """What is wrong with a value (`'fast' (str), expected float`); None if it conforms or nobody can tell."""
    if wanted is _UNSAID or _surely(wanted, value):
        return None
    came = f"{short(value)} ({type(value).__name__}), expected {named(wanted)}"
    if _is_plain(wanted):
        return came
    try:
        adapter = _adapter(wanted)
    except Exception:  # an annotation that pydantic does not know either
        return None
    from pydantic import ValidationError

    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = "".join(
            f"[{step!r}]" for step in first["loc"] if isinstance(step, int) or step in _keys(value)
        )
        return f"{came}: {('at ' + place + ': ') if place else ''}{first['msg'].lower()}"
    except Exception:  # a validator of the user's own
        return None
    return None


def _keys(value: Any) -> Any:
    """Keys of a dict at the top, so that names of pydantic's own branches are not shown as places."""
    return value if isinstance(value, dict) else ()


def _is_plain(annotation: Any) -> bool:
    """A class that `isinstance` settles."""
    return (
        isinstance(annotation, type)
        and annotation is not _UNSAID
        and annotation is not Any
        and not typing.get_args(annotation)
        and not typing.is_typeddict(annotation)
        and not getattr(annotation, "_is_protocol", False)
    )


def _surely(wanted: Any, value: Any) -> bool:
    """Whether the value conforms, as far as that is quick to see. False means: not seen."""
    if wanted is Any or wanted is object:
        return True
    if wanted is None:
        return value is None
    if _is_plain(wanted):
        return _instance(wanted, value)
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        return False
    if origin is typing.Union or origin is types.UnionType:
        return any(_surely(option, value) for option in args)
    if not isinstance(origin, type) or not isinstance(value, list | tuple | dict) or len(value) > 1000:
        return False
    if not isinstance(value, origin):
        return False
    if isinstance(value, dict):
        return len(args) == 2 and all(_surely(args[0], k) and _surely(args[1], v) for k, v in value.items())
    if len(args) == 1 or (isinstance(value, tuple) and len(args) == 2 and args[1] is Ellipsis):
        return all(_surely(args[0], item) for item in value)
    return False


def _instance(wanted: type, value: Any) -> bool:
    if wanted is float:
        return isinstance(value, numbers.Real)
    if wanted is int:
        return isinstance(value, numbers.Integral)
    if wanted is complex:
        return isinstance(value, numbers.Number)
    if wanted is bool:
        return isinstance(value, bool) or type(value).__name__ in ("bool_", "bool")  # NumPy's
    try:
        return isinstance(value, wanted)
    except TypeError:  # a class that refuses to be asked
        return True


def clash(given: Any, wanted: Any) -> bool:
    """Whether a declared result clearly cannot be what a parameter wants, both being plain classes."""
    if not (_is_plain(given) and _is_plain(wanted)) or object in (given, wanted):
        return False
    if wanted in (float, complex) and given in (bool, int, float):
        return False
    try:
        if issubclass(given, wanted) or issubclass(wanted, given):
            return False
    except TypeError:
        return False
    # Two unrelated classes may have a common heir; of a builtin kind nobody would expect one.
    return given in _CONCRETE or wanted in _CONCRETE


def element_of(annotation: Any) -> Any:
    """Annotation of the elements of `list[X]` and the like, or `inspect.Parameter.empty`."""
    args = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if (
        isinstance(origin, type)
        and issubclass(origin, Sequence)
        and args
        and (len(args) == 1 or args[1] is Ellipsis)
    ):
        return args[0]
    return _UNSAID


_adapters: dict[Any, Any] = {}


def _adapter(annotation: Any) -> Any:
    try:
        if annotation in _adapters:
            return _adapters[annotation]
        keep = True
    except TypeError:
        keep = False
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter

    try:
        made: Any = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # models, dataclasses and typed dicts have a configuration of their own
        made = TypeAdapter(annotation)
    if keep:
        _adapters[annotation] = made
    return made
