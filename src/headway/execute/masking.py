"""Takes secrets out of what a task prints, raises or leaves behind: the values themselves and as they look after usual encodings."""

from __future__ import annotations

import re
from collections.abc import Iterator

MASK = b"***"
#: A line of a secret of several lines (a key) is masked by itself if it has so many characters.
_LINE = 6
#: Secrets that are remembered; the oldest are forgotten beyond.
_KEPT = 1000


class Masker:
    """All secrets that this process has revealed. The main thread adds, any thread may mask."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        #: Every form with the secret it is of, longest first, and what finds them; replaced together.
        self._state: tuple[tuple[tuple[bytes, str], ...], re.Pattern[bytes] | None] = ((), None)

    def __bool__(self) -> bool:
        return bool(self._names)

    def add(self, name: str, value: str) -> None:
        """From now on this value is masked."""
        if value in self._names:
            return
        while len(self._names) >= _KEPT:
            del self._names[next(iter(self._names))]
        self._names[value] = name
        every = {form: known for text, known in self._names.items() for form in forms(text)}
        # The longest first: a form may begin with another.
        ordered = tuple(sorted(every.items(), key=lambda pair: (-len(pair[0]), pair[0])))
        self._state = ordered, re.compile(b"|".join(re.escape(form) for form, _ in ordered))

    @property
    def longest(self) -> int:
        """Bytes of the longest form: so many must be seen at once."""
        every = self._state[0]
        return len(every[0][0]) if every else 0

    def clean(self, data: bytes) -> bytes:
        """The same with a mask in place of each secret."""
        every, pattern = self._state
        if pattern is None or not any(
            form in data for form, _ in every
        ):  # ten times quicker than the pattern
            return data
        return pattern.sub(MASK, data)

    def text(self, text: str) -> str:
        """As `clean`, of text."""
        if not self._names:
            return text
        return self.clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "replace")

    def held(self, data: bytes) -> str:
        """The name of a secret that is in there; empty if none is."""
        return next((name for form, name in self._state[0] if form in data), "")

    def name_of(self, value: str) -> str:
        """The name of the secret that this very text is; empty if it is none."""
        return self._names.get(value, "")

    def feed(self, data: bytes, also: tuple[bytes, ...] = ()) -> tuple[bytes, bytes]:
        """(What can be shown, masked; what may be the beginning of a secret and must wait for what follows).

        Args:
            also: Texts of which a beginning waits too.
        """
        every, pattern = self._state
        waits = max((overlap(data, form) for form in (*also, *(form for form, _ in every))), default=0)
        cut = len(data) - waits
        if pattern is None:
            return data[:cut], data[cut:]
        for match in pattern.finditer(data):
            if match.start() < cut < match.end():  # not to be torn: its end may be another's beginning
                cut = match.start()
        return self.clean(data[:cut]), data[cut:]


def overlap(data: bytes, form: bytes) -> int:
    """Bytes at the end of `data` that are a beginning of `form`, not all of it; as many as can be."""
    at = data.find(form[:1], max(0, len(data) - len(form) + 1))
    while at >= 0:
        if form.startswith(data[at:]):
            return len(data) - at
        at = data.find(form[:1], at + 1)
    return 0


def forms(value: str) -> Iterator[bytes]:
    """A text as it may be met: plain, in JSON, in a `repr`, in a URL, quoted for a shell, in base64 and in hexadecimal."""
    import json  # here and below: most workers never need these, and a worker starts in milliseconds
    import shlex
    from urllib.parse import quote, quote_plus

    lines = value.splitlines() if "\n" in value else ()
    for text in (value, *(line for line in lines if len(line.strip()) >= _LINE)):
        raw = text.encode("utf-8", "surrogatepass")
        yield raw
        for escaped in (json.dumps(text), json.dumps(text, ensure_ascii=False), repr(text)):
            yield escaped[1:-1].encode("utf-8", "surrogatepass")
        yield shlex.quote(text).strip("'").encode("utf-8", "surrogatepass")
        for quoted in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
            yield quoted.encode()
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        yield from _base64(raw)


def _base64(raw: bytes) -> Iterator[bytes]:
    """By itself, and in the middle of something longer: there it looks one of three ways, by where in a group of three it begins.

    The characters at both ends depend on what is beside it, and are left out.
    """
    import base64

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).rstrip(b"=")
        for before in range(3):
            whole = encode(b"\0" * before + raw)
            first, last = (0, 2, 3)[before], (len(raw) + before) * 8 // 6
            yield whole[first:last]
