"""What a task may say of its node's labels: the language, its canonical text, and what it means."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.domain.where import Term, parse_where, terms, unmet
from headway.errors import Invalid

NODE = {"zone": "eu-1", "gpu_type": "a100", "memory": "40GiB", "cuda": "12.4"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("zone == eu-1", True),
        ("zone == eu-2", False),
        ("rack == r1", False),
        ("zone != eu-1", False),
        ("rack != r1", True),
        ("gpu_type in (h100, a100)", True),
        ("gpu_type not in (h100, a100)", False),
        ("rack not in (r1)", True),
        ("rack exists", False),
        ("rack not exists", True),
        ("zone exists and rack not exists", True),
        ("memory >= 40GiB", True),
        ("memory > 40GiB", False),
        ("memory <= 42949672960", True),
        ("memory < 41GB", False),
        ("cuda >= 12", True),
        ("zone >= 12", False),
        ("rack >= 0", False),
        ('zone == "eu-1"', True),
    ],
)
def test_what_a_condition_means(text: str, holds: bool) -> None:
    assert (unmet(parse_where(text), NODE) is None) == holds


def test_the_text_is_canonical_so_that_the_same_wishes_are_one_shape() -> None:
    assert parse_where("b==1 and a  in (y,x)") == parse_where(["a in (x, y)", "b == '1'", "b == 1"])
    assert parse_where("b==1 and a in (y,x)") == ("a in (x, y)", "b == 1")
    assert parse_where([]) == ()
    assert unmet(parse_where("zone == eu-1 and rack == r1"), NODE) == "rack == r1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("zone = eu-1", "'=' means nothing here, at character 6"),
        ("zone ==", "expected a value, at character 8"),
        ("zone eu-1", "expected ==, !=, in, not in, exists, >=, <=, > or <, found 'eu-1', at character 6"),
        ("", "expected the key of a label, at character 1"),
        ("zone in (a b)", "expected ',' or ')', found 'b', at character 12"),
        ("zone not == a", "expected 'in' or 'exists', found '==', at character 10"),
        ("zone == a or zone == b", "expected 'and' or the end, found 'or', at character 11"),
        ("memory >= much", ">= compares numbers, and 'much' is none, at character 11"),
    ],
)
def test_an_error_points_at_the_place(text: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_where(text)
    assert why in caught.value.message


WORDS = st.text(st.characters(blacklist_characters="\"'", min_codepoint=32, max_codepoint=300), max_size=8)
TERMS = st.one_of(
    st.builds(Term, WORDS, st.sampled_from(["==", "!="]), st.tuples(WORDS)),
    st.builds(Term, WORDS, st.sampled_from(["exists", "not exists"]), st.just(())),
    st.builds(
        Term,
        WORDS,
        st.sampled_from(["in", "not in"]),
        st.lists(WORDS, min_size=1, max_size=3, unique=True).map(lambda values: tuple(sorted(values))),
    ),
)


@given(st.lists(TERMS, min_size=1, max_size=4))
def test_what_is_written_reads_back(wanted: list[Term]) -> None:
    text = " and ".join(map(str, wanted))
    assert set(terms(parse_where(text))) == set(wanted)
    assert parse_where(list(parse_where(text))) == parse_where(text)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        parse_where(text)
