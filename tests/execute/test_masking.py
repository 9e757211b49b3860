"""What is masked: a secret as it is and as it looks after usual encodings, wherever the pieces of a stream are cut."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.execute.masking import MASK, Masker, forms, overlap

PASSWORD = "p@ss wörd/'\"\\&%7?"
KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END KEY-----"
VALUES = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=6, max_size=40
)


def knowing(*values: str) -> Masker:
    masker = Masker()
    for number, value in enumerate(values):
        masker.add(f"s{number}", value)
    return masker


@pytest.mark.parametrize(
    "printed",
    [
        PASSWORD,
        json.dumps({"pw": PASSWORD}),
        json.dumps({"pw": PASSWORD}, ensure_ascii=False),
        repr(PASSWORD),
        repr({"pw": PASSWORD}),
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        quote_plus(PASSWORD),
        urlencode({"pw": PASSWORD, "x": 1}),
        shlex.quote(PASSWORD),
        PASSWORD.encode().hex(),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.urlsafe_b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(f"user:{PASSWORD}".encode()).decode(),
        base64.b64encode(f"me:{PASSWORD}@host".encode()).decode(),
        base64.b64encode(f"a{PASSWORD}".encode()).decode(),
    ],
)
def test_usual_encodings(printed: str) -> None:
    shown = knowing(PASSWORD).clean(f"before {printed} after".encode()).decode()
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert MASK.decode() in shown
    left = shown.replace(MASK.decode(), "").removeprefix("before ").removesuffix(" after")
    assert len(left) <= len(printed) - len(PASSWORD), "only what is not of the secret is left"


def test_a_key_of_several_lines_printed_line_by_line() -> None:
    shown = knowing(KEY).clean("\n".join(f"  | {line}" for line in KEY.splitlines()).encode())
    assert shown == b"\n".join([b"  | ***"] * 4)


def test_one_secret_within_another() -> None:
    masker = knowing("abcdef", "abcdefghij")
    assert masker.clean(b"abcdefghij abcdef") == b"*** ***"
    assert masker.feed(b"x abcdef") == (b"x ", b"abcdef")
    assert masker.feed(b"abcdefgh") == (b"", b"abcdefgh")


def test_a_beginning_that_is_the_end_of_another_is_not_torn() -> None:
    """The last letter of a whole secret may be the first of one that is only coming: neither may be shown."""
    masker = knowing("SECRETX", "Xabcdef")
    shown, held = masker.feed(b"-SECRETX")
    assert (shown, held) == (b"-", b"SECRETX")
    shown, held = masker.feed(held + b"abcdef.")
    assert b"SECRET" not in shown + held
    assert shown + held == b"***abcdef."


@given(VALUES, st.binary(max_size=30), st.binary(max_size=30), st.lists(st.integers(1, 30), max_size=20))
def test_the_cut_of_a_stream_shows_nothing(value: str, before: bytes, after: bytes, cuts: list[int]) -> None:
    """However it is cut into pieces, what comes out is what masking the whole gives."""
    masker, stream = knowing(value), before + value.encode() + after + value.encode()
    shown, held, rest = b"", b"", stream
    for size in [*cuts, len(stream)]:
        piece, rest = rest[:size], rest[size:]
        out, held = masker.feed(held + piece)
        shown += out
        assert len(held) <= 2 * masker.longest
    shown += masker.clean(held)
    assert value.encode() not in shown.replace(MASK, b"\0")
    assert shown == masker.clean(stream)


@given(VALUES)
def test_every_form_is_known_again(value: str) -> None:
    masker = knowing(value)
    for form in forms(value):
        assert masker.held(b"x" + form + b"y") == "s0"
    assert masker.name_of(value) == "s0"
    assert masker.name_of(value + "x") == ""


@given(st.binary(max_size=12), st.binary(min_size=1, max_size=6))
def test_overlap_is_the_longest_beginning_at_the_end(data: bytes, form: bytes) -> None:
    by_hand = max((n for n in range(len(form)) if n <= len(data) and data.endswith(form[:n])), default=0)
    assert overlap(data, form) == by_hand


def test_nothing_known_nothing_changed() -> None:
    masker = Masker()
    assert not masker
    assert masker.clean(b"text") == b"text"
    assert masker.text("text") == "text"
    assert masker.feed(b"text") == (b"text", b"")
    assert masker.held(b"text") == ""
