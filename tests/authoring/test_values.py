"""Values by reference: what stays readable, what is pickled, what becomes a blob; what people are shown."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.authoring.values import Encoded, Unpicklable, decode, decode_tree, encode, short
from headway.domain.results import INLINE_LIMIT, Ref
from headway.errors import HeadwayError

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


def there_and_back(value: Any) -> Any:
    ref, blob = encode(value)
    sent = Ref(**json.loads(json.dumps(dataclasses.asdict(ref))))
    assert (blob is not None) == (ref.kind == "blob")
    return decode(sent, lambda sha: {ref.data: blob}[sha])  # type: ignore[dict-item, return-value]


@given(plain)
def test_every_value_comes_back_as_it_was_in_value_and_type(value: Any) -> None:
    assert repr(there_and_back(value)) == repr(value)


@given(plain)
def test_small_values_stay_inside_and_large_ones_never_do(value: Any) -> None:
    ref, blob = encode(value)
    if blob is None:
        assert len(json.dumps(ref.data)) <= 2 * INLINE_LIMIT + 100
    assert len(ref.text) <= 80
    assert ref.items == (len(value) if isinstance(value, list | tuple) else None)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "json"), (True, "json"), (3, "json"), (0.5, "json"), ("ä", "json"),
        ([1, {"a": [None]}], "json"),
        (2**53, "pickle"), (float("nan"), "pickle"), (float("inf"), "pickle"),
        ((1, 2), "pickle"), ({1: 2}, "pickle"),
        (b"x", "pickle"), ("\ud800", "pickle"), (np.float64(1), "pickle"), ([np.int64(1)], "pickle"),
        ("x" * INLINE_LIMIT, "blob"), (list(range(5000)), "blob"), (np.zeros(10_000), "blob"),
    ],
)  # fmt: skip
def test_only_exact_plain_types_are_json(value: Any, kind: str) -> None:
    ref, _ = encode(value)
    assert ref.kind == kind


def test_a_value_changed_after_it_was_encoded_stays_as_it_was() -> None:
    value = {"a": [1]}
    ref, _ = encode(value)
    value["a"].append(2)
    assert ref.data == {"a": [1]}
    encoded = Encoded(ref)
    assert encode(encoded) == (ref, None)


def test_what_holds_itself_comes_back_holding_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    back = there_and_back(value)
    assert back[1] is back


def test_what_cannot_travel_names_its_type_and_what_to_do() -> None:
    with pytest.raises(Unpicklable, match=r"a lock, cannot be sent to another process") as caught:
        encode(threading.Lock())
    assert "inside the task" in str(caught.value)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unpicklable, match="excessively deep recursion"):
        encode(deep)


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Ruder:
    @property
    def shape(self) -> Any:
        raise RuntimeError("no")


class Endless(list[int]):
    def __repr__(self) -> str:
        return "x" * 10_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), ("a", "'a'"), (Rude(), "<Rude instance>"),
        ([object()], "[<object object>]"), (Ruder(), "<Ruder>"), (b"x" * 100, "bytes of 100 bytes"),
        (np.zeros((3, 4)), "ndarray 3x4 float64"), (np.float64(2.5), "np.float64(2.5)"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, ...]"), ("\ud800", "'\\ud800'"),
    ],
)  # fmt: skip
def test_texts_for_people(value: Any, text: str) -> None:
    assert short(value) == text


def test_texts_are_bounded_and_quick_for_large_values() -> None:
    assert len(short(Endless())) <= 80
    assert len(short("x" * 50_000_000)) <= 80
    assert short({"k" * 1000: "v" * 1000}).startswith("{'kkk")


def test_a_value_that_cannot_be_read_says_why() -> None:
    missing = Ref("pickle", base64.b64encode(b"cno_such_mod\nthing\n.").decode(), text="<thing>")
    with pytest.raises(HeadwayError, match=r"needs the module 'no_such_mod'.*\n.*pip install no_such_mod"):
        decode(missing, lambda sha: b"")
    with pytest.raises(HeadwayError, match="cannot be read here"):
        decode(Ref("pickle", "AAAA"), lambda sha: b"")


def test_a_result_tree_becomes_what_the_workflow_returned() -> None:
    blob_ref, blob = encode({"loss": [1, 2]} | {"pad": "x" * INLINE_LIMIT})
    leaf = {"ref": {"kind": "blob", "data": blob_ref.data}, "path": ["loss", 1]}
    tree = {"dict": {"a": {"tuple": [leaf, {"ref": {}}]}, "b": {"list": [{"ref": {"data": 5}}], "path": [0]}}}
    assert decode_tree(tree, lambda sha: blob or b"") == {"a": (2, None), "b": 5}
    assert decode_tree(None, lambda sha: b"") is None
    with pytest.raises(HeadwayError, match=r"returns \['x'\] of 5"):
        decode_tree({"ref": {"data": 5}, "path": ["x"]}, lambda sha: b"")
