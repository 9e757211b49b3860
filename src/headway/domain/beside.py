"""Which tasks a task must be near to, apart from or spread out among: read once and kept as canonical text.

    near, apart = GROUP [ "of" ( "run" | "tenant" ) ] [ "within" LEVEL ]
    spread      = LEVEL [ "of" ( "run" | "tenant" ) ] [ "by" N ]

A LEVEL is `node`, or a label of nodes such as `rack`; nodes with the same value of it are one *place*. Without `within` it is the
node. A GROUP is what tasks say with `group=`, of the same run unless `of tenant` says: of all runs of the tenant. `spread`
keeps the tasks of the task's own group even: no place may have more than N of them (1 if not said) more than the place that has
fewest, as Kubernetes' topologySpreadConstraints with DoNotSchedule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from headway.errors import Invalid

#: The level at which every node is a place of its own.
NODE = "node"
#: Whose tasks a group's name means.
SCOPES = ("run", "tenant")
BESIDE_FIELDS = ("group", "near", "apart", "spread")
_WORD = r"[\w./:\-]+"
_RULE = re.compile(rf"({_WORD})(?:\s+of\s+(\w+))?(?:\s+within\s+({_WORD}))?")
_SPREAD = re.compile(rf"({_WORD})(?:\s+of\s+(\w+))?(?:\s+by\s+(\d{{1,6}}))?")
_HINT = {
    "near": 'write near="cache within rack": on a rack where a task of group cache runs',
    "apart": 'write apart="server within rack": on no rack where a task of group server runs',
    "spread": 'write spread="zone", or spread="zone by 2"',
}


class Rule(NamedTuple):
    """One rule, read.

    Attributes:
        kind: `near`, `apart` or `spread`.
        group: Whose tasks count; of `spread` empty for its own.
        scope: One of `SCOPES`.
        level: What is one place.
        most: Of `spread`: by how many a place may be ahead of the one with fewest.
    """

    kind: str
    group: str
    scope: str
    level: str
    most: int = 0

    def __str__(self) -> str:
        whose = " of tenant" if self.scope == "tenant" else ""
        if self.kind == "spread":
            return f"{self.level}{whose} by {self.most}"
        return f"{self.group}{whose} within {self.level}"

    @property
    def told(self) -> str:
        """As `why` names it."""
        return f"{self.kind} {self}"


@dataclass(frozen=True, slots=True)
class Beside:
    """What a task says of tasks that run at the same time.

    Attributes:
        group: What others call it by, or empty.
        near, apart, spread: Rules in canonical text, sorted, each once; all of them must hold.
    """

    group: str = ""
    near: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them, read."""
        return rules(self)


def parse_beside(given: Mapping[str, Any], group: str = "") -> Beside | None:
    """From what a person wrote: `group`, `near`, `apart` and `spread`, each rule one text or a list of texts.

    Args:
        group: Its group if it has rules and says none.

    Raises:
        Invalid: Something is not of the language, or contradicts itself.
    """
    said = given.get("group", "") or ""
    if not isinstance(said, str) or (said and not re.fullmatch(_WORD, said)):
        raise Invalid(f"group={said!r} is not a name", hint='write group="server"')
    found = {kind: tuple(sorted({str(one) for one in _read(kind, given.get(kind))})) for kind in _HINT}
    if not said and not any(found.values()):
        return None
    beside = Beside(said or group, **found)
    if beside.spread and not beside.group:
        raise Invalid("spread= needs a group whose tasks are spread", hint='add group="server"')
    both = {rule[1:4] for rule in beside.rules if rule.kind == "near"}
    clash = [rule for rule in beside.rules if rule.kind == "apart" and rule[1:4] in both]
    if clash:
        raise Invalid(f"it cannot be near and apart: {clash[0]}", hint="drop one of the two")
    return beside


@lru_cache(maxsize=4096)
def rules(beside: Beside) -> tuple[Rule, ...]:
    """The rules that canonical text stands for: near, apart, spread."""
    return tuple(_rule(kind, text) for kind in _HINT for text in getattr(beside, kind))


def levels(beside: Beside) -> Iterable[str]:
    """The labels it speaks of, each once."""
    return dict.fromkeys(rule.level for rule in beside.rules if rule.level != NODE)


def _read(kind: str, given: Any) -> list[Rule]:
    texts = [given] if isinstance(given, str) else () if given is None else given
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise Invalid(f"{kind}={given!r} is not a text or a list of texts", hint=_HINT[kind])
    return [_rule(kind, text) for text in texts]


def _rule(kind: str, text: str) -> Rule:
    match = (_SPREAD if kind == "spread" else _RULE).fullmatch(text.strip())
    if match is None:
        raise Invalid(f"{kind}={text!r} means nothing", hint=_HINT[kind])
    first, scope, last = match.groups()
    if scope not in (None, *SCOPES):
        raise Invalid(f"{kind}={text!r}: {scope!r} is not run or tenant", hint=_HINT[kind])
    if kind != "spread":
        return Rule(kind, first, scope or "run", last or NODE)
    most = int(last or 1)
    if not most:
        raise Invalid(f"spread={text!r} by 0 could never be", hint=_HINT[kind])
    return Rule(kind, "", scope or "run", first, most)


def beside_to_json(beside: Beside) -> dict[str, Any]:
    """What it says, without what it leaves out; `parse_beside` reads it."""
    said = ((name, getattr(beside, name)) for name in BESIDE_FIELDS)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in said if value}
