"""Small readers of parsed JSON, each with its place in the document, for errors that say where (`tasks[3].demand.cpu`)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headway.errors import Invalid

_INT64 = 2**63


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "memory"?`, or the list of what is known when nothing is near."""
    names = list(known)
    close = difflib.get_close_matches(word, names, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"


def wrong(where: str, came: Any, wanted: str) -> Invalid:
    shown = repr(came)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return Invalid(f"{where} is {shown}, expected {wanted}", where=where)


def an_object(tree: Any, fields: Sequence[str] | None, where: str) -> Mapping[str, Any]:
    if not isinstance(tree, Mapping):
        raise wrong(where, tree, "an object")
    for key in tree:
        if not isinstance(key, str):
            raise wrong(where, key, "text as the name of a field")
        if fields is not None and key not in fields:
            raise Invalid(f"{where} has an unknown field {key!r}", hint=nearest(key, fields), where=where)
    return tree


def a_list(tree: Any, where: str) -> Sequence[Any]:
    if not isinstance(tree, (list, tuple)):
        raise wrong(where, tree, "a list")
    return tree


def a_text(tree: Any, where: str, *, empty: bool = False) -> str:
    if not isinstance(tree, str) or (not tree and not empty):
        raise wrong(where, tree, "text" if empty else "text that is not empty")
    return tree


def a_whole(tree: Any, where: str, *, least: int | None = 0) -> int:
    if isinstance(tree, bool) or not isinstance(tree, int):
        raise wrong(where, tree, "a whole number")
    if (least is not None and tree < least) or not -_INT64 <= tree < _INT64:
        raise wrong(
            where, tree, f"a whole number from {least}" if least is not None else "a number of 64 bits"
        )
    return tree


def a_flag(tree: Any, where: str) -> bool:
    if not isinstance(tree, bool):
        raise wrong(where, tree, "true or false")
    return tree


def amounts(tree: Any, where: str) -> tuple[tuple[str, int], ...]:
    named = an_object(tree, None, where)
    return tuple((name, a_whole(named[name], f"{where}.{name}")) for name in sorted(named))
