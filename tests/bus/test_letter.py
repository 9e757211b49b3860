from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.bus.letter import BadEnvelope, Letter, decode, encode

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)
bodies = json_values.map(lambda value: json.dumps(value).encode())
letters = st.builds(
    Letter,
    texts,
    st.just("s"),
    st.integers(0, 2**50),
    st.integers(1, 2**50),
    texts,
    bodies,
    st.integers(0, 2**60),
    texts,
    texts,
)


@given(letters)
def test_an_envelope_comes_back_to_the_byte(letter: Letter) -> None:
    assert decode("s", encode(letter)) == letter


@given(letters)
def test_an_envelope_is_one_json_object(letter: Letter) -> None:
    envelope = json.loads(encode(letter))
    assert list(envelope) == ["id", "kind", "v", "time", "from", "epoch", "seq", "corr", "cause", "body"]
    assert envelope["body"] == json.loads(letter.body)
    assert envelope["id"] == letter.id


@pytest.mark.parametrize("evil", ['x","body":{"y":1},"z":"', ',"body":', '\\",\\"body\\":'])
def test_a_header_cannot_pass_for_the_body(evil: str) -> None:
    letter = Letter("planner", "s", 1, 1, evil, b'{"n":1}', corr=evil, cause=evil)
    assert decode("s", encode(letter)) == letter


@given(letters)
def test_another_order_of_fields_is_understood(letter: Letter) -> None:
    envelope = json.loads(encode(letter))
    data = json.dumps(dict(sorted(envelope.items())), indent=1).encode()
    found = decode("s", data)
    assert json.loads(found.body) == json.loads(letter.body)
    assert found._replace(body=b"") == letter._replace(body=b"")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"body":{}}', "has no 'from'"),
        (b'{"from":"a"}', "has no body"),
        (b'[1,"body":2]', "is not JSON"),
        (b'{"v":1,"from":"a","epoch":1,"seq":0,"kind":"k","body":{}}', "wrong type"),
        (b'{"v":1,"from":"a","epoch":1,"seq":true,"kind":"k","body":{}}', "wrong type"),
        (b'{"v":1,"from":"a","epoch":1.0,"seq":1,"kind":"k","body":{}}', "wrong type"),
        (b'{"v":1,"from":["a"],"epoch":1,"seq":1,"kind":"k","body":{}}', "wrong type"),
        (
            b'{"v":2,"from":"a","epoch":1,"seq":1,"kind":"k","body":{}}',
            "has version 2, this Headway reads up to 1",
        ),
    ],
)
def test_what_is_no_envelope_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(BadEnvelope, match=complaint):
        decode("s", data)


@given(st.binary(max_size=60), st.integers(0, 200), letters)
def test_damage_gives_a_letter_or_our_error(junk: bytes, at: int, letter: Letter) -> None:
    data = encode(letter)
    for damaged in (junk, data[:at], data[:at] + junk + data[at:]):
        try:
            assert isinstance(decode("s", damaged), Letter)
        except BadEnvelope:
            continue


def test_letters_sort_in_the_canonical_order() -> None:
    order = [("a", "r", 1, 9), ("a", "s", 1, 2), ("a", "s", 1, 10), ("a", "s", 2, 1), ("b", "r", 1, 1)]
    assert sorted(Letter(*key, "k", b"{}") for key in reversed(order)) == [
        Letter(*key, "k", b"{}") for key in order
    ]
