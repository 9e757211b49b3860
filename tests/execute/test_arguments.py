"""From trees and references to arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.authoring.values import decode, encode
from headway.domain.codec import ref_to_json
from headway.errors import Invalid
from headway.execute.arguments import Arguments, MissingInput, Values, select

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


def values(blobs: dict[str, bytes] | None = None) -> Values:
    return Values(decode, (blobs or {}).__getitem__)


def arguments(
    *trees: dict[str, Any], mapped: int = 0, refs: dict[str, Any] | None = None, **named: Any
) -> Arguments:
    call = {"args": list(trees), "kwargs": named, "mapped": mapped, "values": refs or {}}
    return Arguments(call, values())


@given(JSON)
def test_a_value_arrives_as_it_was_and_is_the_takers_own(value: Any) -> None:
    ref, blob = encode(value)
    tree = ref_to_json(ref)
    taken = values({ref.data: blob} if blob is not None else None)
    first, second = taken.get(tree), taken.get(tree)
    assert first == second == value
    if isinstance(first, list | dict):
        assert first is not second


@given(st.lists(JSON, min_size=1, max_size=6), st.data())
def test_items_of_a_list_are_its_elements(items: list[Any], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(items) - 1))
    ref, _ = encode(items)
    if ref.kind == "blob":
        return
    bound = arguments({"value": "v"}, mapped=1, refs={"v": ref_to_json(ref)})
    assert bound.bind(index, {}) == ([items[index]], {})


def test_zipped_positions_and_constants() -> None:
    refs = {"xs": {"data": [1, 2]}, "ys": {"data": ["a", "b"]}, "c": {"data": "const"}}
    bound = arguments(
        {"value": "xs"}, {"value": "ys"}, {"value": "c"}, mapped=2, refs=refs, k={"value": "xs"}
    )
    assert bound.bind(1, {}) == ([2, "b", "const"], {"k": [1, 2]})


def test_an_item_of_a_written_list_takes_only_its_own_part() -> None:
    bound = arguments({"list": [{"output": "a"}, {"output": "b"}]}, mapped=1)
    assert bound.bind(1, {"b": {"data": 5}}) == ([5], {})


def test_a_path_goes_into_the_item_of_a_mapped_producer() -> None:
    bound = arguments({"output": "m", "path": ["k"]}, mapped=1)
    assert bound.bind(0, {"m[0]": {"data": {"k": 3}}}) == ([3], {})
    assert bound.bind(1, {"m": {"data": {"k": [1, 2]}}}) == ([2], {})


def test_the_whole_map_in_one_reference() -> None:
    bound = arguments({"output": "m"})
    assert bound.bind(None, {"m": {"*": {"data": [1, 2, 3]}}}) == ([[1, 2, 3]], {})


def test_a_missing_result_is_not_made_up() -> None:
    for tree in ({"output": "a"}, {"list": [{"output": "a"}]}):
        with pytest.raises(MissingInput, match="result of a"):
            arguments(tree).bind(None, {})
    with pytest.raises(MissingInput):
        arguments({"output": "a"}).bind(None, {"a": None})


def test_an_item_that_is_not_there_is_named() -> None:
    for value, what in (([1], "list"), (5, "int"), ({"a": 1}, "dict")):
        with pytest.raises(Invalid, match=f"item 3 of {what}"):
            arguments({"value": "v"}, mapped=1, refs={"v": {"data": value}}).bind(3, {})


def test_a_wrong_step_is_named_with_what_was_there() -> None:
    with pytest.raises(Invalid, match=r"the result\['a'\] is \[1\] and has no \[7\]: IndexError"):
        select({"a": [1]}, ["a", 7])
    assert select({"a": [1]}, []) == {"a": [1]}


def test_blobs_are_read_once_and_forgotten_in_time() -> None:
    reads: list[str] = []
    content = {name: encode(bytes([number]) * 30_000_000)[1] for number, name in enumerate("abc")}

    def read(name: str) -> bytes:
        reads.append(name)
        data = content[name]
        assert data is not None
        return data

    taken = Values(decode, read)
    for name in "aaba":
        assert len(taken.get({"kind": "blob", "data": name})) == 30_000_000
    assert reads == ["a", "b"]
    taken.get({"kind": "blob", "data": "c"})  # more than is kept: the one not used for longest goes
    taken.get({"kind": "blob", "data": "a"})
    taken.get({"kind": "blob", "data": "b"})
    assert reads == ["a", "b", "c", "b"]
