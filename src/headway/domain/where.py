"""On which nodes a task may run, by their labels: a small language, read once and kept as canonical text.

    where = term { "and" term }
    term  = KEY ( "==" | "!=" | ">=" | "<=" | ">" | "<" ) VALUE
          | KEY [ "not" ] "in" "(" VALUE { "," VALUE } ")"
          | KEY [ "not" ] "exists"

Keys and values are letters, digits and `_ . / : -`; anything else stands in quotes. As in Kubernetes a node without the label meets
`!=`, `not in` and `not exists` and no other term. `>=` and its like compare numbers, also with a unit of bytes (`40GiB`); a label
that is no number meets none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from headway.domain.units import MILLI, parse_bytes, parse_milli
from headway.errors import Invalid

#: Terms in canonical text, sorted, each once: all of them must hold.
Where = tuple[str, ...]

_COMPARE = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
_WORD = r"[A-Za-z0-9_./:\-]+"
_TOKEN = re.compile(
    rf"\s*(?:(?P<op>==|!=|>=|<=|>|<|\(|\)|,)|\"(?P<quoted>[^\"]*)\"|'(?P<single>[^']*)'|(?P<word>{_WORD}))"
)
_PLAIN = re.compile(_WORD)
_RESERVED = ("and", "not", "in", "exists")
_HINT = 'write e.g. where="gpu_type == a100 and zone not in (eu-1, eu-2)"'


class Term(NamedTuple):
    """One condition on one label.

    Attributes:
        op: `==`, `!=`, `in`, `not in`, `exists`, `not exists`, or a comparison of numbers.
        values: None for `exists`, several for `in`; of `in` sorted.
    """

    key: str
    op: str
    values: tuple[str, ...] = ()

    def met(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels meets it."""
        has = labels.get(self.key)
        if self.op in ("exists", "not exists"):
            return (has is not None) == (self.op == "exists")
        if self.op in ("==", "in"):
            return has in self.values
        if self.op in ("!=", "not in"):
            return has not in self.values
        mine, other = number(has or ""), number(self.values[0])
        return mine is not None and other is not None and _COMPARE[self.op](mine, other)

    def __str__(self) -> str:
        values = ", ".join(_quoted(value) for value in self.values)
        text = f"({values})" if self.op.endswith("in") else values
        return f"{_quoted(self.key)} {self.op} {text}".rstrip()


def parse_where(given: Any, what: str = "where") -> Where:
    """What a person wrote: one text, or a list of texts that must all hold.

    Raises:
        Invalid: It is not of the language; the error points at the place.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise Invalid(f"{what}={given!r} is not a text or a list of texts", hint=_HINT)
    return tuple(sorted({str(term) for text in texts for term in _read(text, what)}))


@lru_cache(maxsize=4096)
def terms(where: Where) -> tuple[Term, ...]:
    """The conditions that canonical text stands for."""
    return tuple(term for text in where for term in _read(text, "where"))


def unmet(where: Where, labels: Mapping[str, str]) -> str | None:
    """The first term that a node with these labels does not meet, or None if it meets all."""
    for term in terms(where):
        if not term.met(labels):
            return str(term)
    return None


def number(text: str) -> int | None:
    """A label as a number in milli-units (of a byte, if it has a unit of bytes), or None."""
    try:
        return parse_milli(text, "label")
    except Invalid:
        pass
    try:
        return parse_bytes(text) * MILLI
    except Invalid:
        return None


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word) and word not in _RESERVED:
        return word
    return f'"{word}"' if '"' not in word else f"'{word}'"


class _Reader:
    """The tokens of one text, with where each stands."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what = text, what
        self.tokens = list(self._cut())
        self.next = 0

    def _cut(self) -> Iterator[tuple[str, str, int]]:
        position = 0
        while self.text[position:].strip():
            match = _TOKEN.match(self.text, position)
            if match is None:
                at = position + len(self.text[position:]) - len(self.text[position:].lstrip())
                raise self.wrong(at, f"{self.text[at]!r} means nothing here")
            kind = str(match.lastgroup)
            name = "value" if kind in ("quoted", "single") else kind
            yield name, match[kind], match.start(kind)
            position = match.end()
        yield "end", "", len(self.text)

    def wrong(self, at: int, why: str) -> Invalid:
        """The error at a place of the text, with the place pointed at."""
        return Invalid(f"{self.what}={self.text!r}: {why}, at character {at + 1}", hint=_HINT, at=at)

    def peek(self, kind: str, *texts: str) -> bool:
        """Whether the next token is one of these."""
        name, text, _ = self.tokens[self.next]
        return name == kind and text in texts

    def take(self, kind: str, *texts: str) -> bool:
        """Passes the next token if it is one of these."""
        found = self.peek(kind, *texts)
        self.next += found
        return found

    def name(self, what: str) -> str:
        """A key or a value."""
        kind, text, at = self.tokens[self.next]
        if kind == "value" or (kind == "word" and text not in _RESERVED):
            self.next += 1
            return text
        raise self.wrong(at, f"expected {what}" + (f", found {text!r}" if text else ""))

    def fail(self, wanted: str) -> Invalid:
        """The error for whatever comes next."""
        _, text, at = self.tokens[self.next]
        return self.wrong(at, f"expected {wanted}" + (f", found {text!r}" if text else ""))


def _read(text: str, what: str) -> list[Term]:
    reader = _Reader(text, what)
    found = [_term(reader)]
    while not reader.take("end", ""):
        if not reader.take("word", "and"):
            raise reader.fail("'and' or the end")
        found.append(_term(reader))
    return found


def _term(reader: _Reader) -> Term:
    key = reader.name("the key of a label")
    negated = "not " if reader.take("word", "not") else ""
    if reader.take("word", "exists"):
        return Term(key, f"{negated}exists")
    if reader.take("word", "in"):
        if not reader.take("op", "("):
            raise reader.fail("'('")
        values = [reader.name("a value")]
        while reader.take("op", ","):
            values.append(reader.name("a value"))
        if not reader.take("op", ")"):
            raise reader.fail("',' or ')'")
        return Term(key, f"{negated}in", tuple(sorted(set(values))))
    for op in ("==", "!=", *_COMPARE):
        if not negated and reader.take("op", op):
            at = reader.tokens[reader.next][2]
            value = reader.name("a value")
            if op in _COMPARE and number(value) is None:
                raise reader.wrong(at, f"{op} compares numbers, and {value!r} is none")
            return Term(key, op, (value,))
    raise reader.fail("'in' or 'exists'" if negated else "==, !=, in, not in, exists, >=, <=, > or <")
