"""From a call's argument trees and an item's inputs to what the function is called with.

A task owns its arguments: it may change them, and no other task must see that. So what is kept between items
is the encoded value, or a decoded one that cannot change; anything else is made anew for each item.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.domain.results import ABSENT, Ref
from headway.errors import Invalid

#: Result references by producer name, as JSON; None is the result of an earlier member of the lease.
Inputs = Mapping[str, Any]
ReadBlob = Callable[[str], bytes]
Decode = Callable[[Ref, ReadBlob], Any]

_CONSTANT = (type(None), bool, int, float, complex, str, bytes)
_KEPT_BYTES = 64 * 2**20  # of blobs in memory, per worker
_KEPT_LISTS = 8  # decoded sequences that are mapped over


class MissingInput(Exception):
    """A result that should be there is not: its producer, earlier in the lease, did not finish."""


class Values:
    """Decodes references; keeps blobs, constants and mapped lists for the next item, within bounds.

    Args:
        decode: `headway.authoring.values.decode`.
        read_blob: Content by SHA-256.
        asked: How many secrets were asked for until now: a list with one in it is not kept, as it may be another soon.
    """

    def __init__(self, decode: Decode, read_blob: ReadBlob, asked: Callable[[], int] = lambda: 0) -> None:
        self._decode, self._read, self._asked = decode, read_blob, asked
        self._blobs: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lists: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._inputs: tuple[str, dict[str, Any]] = ("", {})

    def get(self, tree: Mapping[str, Any]) -> Any:
        """A value of its own for the caller."""
        kind = tree.get("kind", "json")
        if kind == ABSENT:
            return None
        if kind == "json":
            data = tree.get("data")
            return data if type(data) in _CONSTANT else copy.deepcopy(data)
        return self._decode(Ref(kind, tree.get("data"), tree.get("size", 0), tree.get("items")), self._blob)

    def element(self, tree: Mapping[str, Any], index: int, path: tuple[Any, ...] = ()) -> Any:
        """One element of a sequence (under `path`) that is mapped over: the sequence is decoded once for many
        items."""
        key = (
            str(tree.get("kind", "json")),
            repr(tree.get("data")) if "kind" not in tree else str(tree.get("data")),
        )
        if key in self._lists:
            self._lists.move_to_end(key)
            whole = self._lists[key]
        else:
            before = self._asked()
            whole = self.get(tree)
            if self._asked() == before:
                self._lists[key] = whole
            if len(self._lists) > _KEPT_LISTS:
                self._lists.popitem(last=False)
        value = select(whole, path)
        try:
            element = value[index]
        except (TypeError, IndexError, KeyError) as error:
            raise Invalid(
                f"item {index} of {type(value).__name__} {_short(value)} does not exist: {error}",
                hint="`.map` goes over lists and tuples",
            ) from None
        return element if type(element) in _CONSTANT else copy.deepcopy(element)

    def names(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs that the planner has put into a blob: kept as long as it is the last one, for the items of
        one map."""
        sha = tree["data"]
        if self._inputs[0] != sha:
            import json

            self._inputs = (sha, json.loads(self._blob(sha)))
        return self._inputs[1]

    def _blob(self, sha: str) -> bytes:
        data = self._blobs.get(sha)
        if data is not None:
            self._blobs.move_to_end(sha)
            return data
        data = self._read(sha)
        if len(data) <= _KEPT_BYTES:
            self._blobs[sha] = data
            self._size += len(data)
            while self._size > _KEPT_BYTES:
                self._size -= len(self._blobs.popitem(last=False)[1])
        return data


class Arguments:
    """A call's arguments, ready to be bound to one item after another.

    Args:
        call: As in `bus.messages.Call`, plain.
        values: Where references are decoded.
    """

    def __init__(self, call: Mapping[str, Any], values: Values) -> None:
        self._values = values
        self._refs: Mapping[str, Any] = call["values"]
        self._mapped: int = call["mapped"]
        self._args: list[Any] = call["args"]
        self._kwargs: Mapping[str, Any] = call["kwargs"]

    def bind(self, item: int | None, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments of one item.

        Raises:
            MissingInput: A producer's result is not there.
            Invalid: A path or an element that the value does not have.
        """
        if "*" in inputs:  # too many to travel in a message: names and references are a blob of JSON
            inputs = {
                **self._values.names(inputs["*"]),
                **{name: ref for name, ref in inputs.items() if name != "*"},
            }
        args: list[Any] = []
        for position, tree in enumerate(self._args):
            if item is not None and position < self._mapped:
                args.append(self._item(tree, item, inputs))
            else:
                args.append(self._build(tree, inputs))
        return args, {name: self._build(tree, inputs) for name, tree in self._kwargs.items()}

    def _build(self, tree: Mapping[str, Any], inputs: Inputs) -> Any:
        if "value" in tree:
            return self._values.get(self._literal(tree["value"]))
        if "output" in tree:
            path = tree.get("path", ())
            if path and _is_absent(inputs, tree["output"], path):
                return None
            return select(self._output(tree["output"], inputs), path)
        if "list" in tree:
            return [self._build(part, inputs) for part in tree["list"]]
        if "tuple" in tree:
            return tuple(self._build(part, inputs) for part in tree["tuple"])
        return {name: self._build(part, inputs) for name, part in tree["dict"].items()}

    def _item(self, tree: Mapping[str, Any], item: int, inputs: Inputs) -> Any:
        """Element `item` of an argument that is mapped over."""
        if "value" in tree:
            return self._values.element(self._literal(tree["value"]), item)
        if "list" in tree or "tuple" in tree:
            return self._build((tree.get("list") or tree.get("tuple") or [])[item], inputs)
        if "output" in tree:
            name, path = tree["output"], tuple(tree.get("path", ()))
            own = f"{name}[{item}]"
            if own in inputs:
                if _is_absent(inputs, own, ()):
                    return None
                return select(self._values.get(_there(inputs, own)), path)
            whole = _there(inputs, name)
            if "*" in whole:
                whole = whole["*"]
            return self._values.element(whole, item, path)
        return self._build(tree, inputs)[item]

    def _output(self, name: str, inputs: Inputs) -> Any:
        if name in inputs:
            ref = _there(inputs, name)
            return self._values.get(ref.get("*", ref))
        if f"{name}[0]" not in inputs:
            raise MissingInput(f"the result of {name} is not among the inputs")
        results: list[Any] = []
        while (own := f"{name}[{len(results)}]") in inputs:
            results.append(self._values.get(_there(inputs, own)))
        return results

    def _literal(self, key: str) -> Mapping[str, Any]:
        ref: Mapping[str, Any] = self._refs[key]
        return ref


def _is_absent(inputs: Inputs, name: str, path: Sequence[str | int]) -> bool:
    """Whether the task that the part is of gave nothing: of a mapped one, its item."""
    own = f"{name}[{path[0]}]" if path and name not in inputs else name
    ref = inputs.get(own)
    return ref is not None and ref.get("kind") == ABSENT


def _there(inputs: Inputs, name: str) -> Mapping[str, Any]:
    ref: Mapping[str, Any] | None = inputs.get(name)
    if ref is None:
        raise MissingInput(f"the result of {name} is not there")
    return ref


def select(value: Any, path: tuple[Any, ...] | list[Any]) -> Any:
    """`value[path[0]][path[1]]…`. Raises Invalid naming the step that failed."""
    for number, step in enumerate(path):
        try:
            value = value[step]
        except (TypeError, LookupError) as error:
            done = "".join(f"[{part!r}]" for part in path[:number])
            raise Invalid(
                f"the result{done} is {_short(value)} and has no [{step!r}]: {type(error).__name__}: {error}",
                hint="check what the task returns",
            ) from None
    return value


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"
