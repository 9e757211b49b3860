"""Parameters typed on a command line: each kind of annotation, right and wrong once, and the list of them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest

from headway import workflow
from headway.errors import Invalid


class Mode(Enum):
    fast = "fast"
    slow = "slow"


@dataclass
class Model:
    layers: int
    name: str = "m"


@workflow
def flow(
    whole: int,
    share: float = 0.5,
    flag: bool = False,
    text: str = "x",
    path: Path = Path("."),
    numbers: list[int] | None = None,
    choice: Literal["p", "q"] = "p",
    mode: Mode = Mode.fast,
    maybe: int | None = None,
    model: Model | None = None,
    named: dict[str, int] | None = None,
    day: date | None = None,
    anything=None,  # type: ignore[no-untyped-def]
) -> None: ...


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("whole", "3", 3),
        ("share", "3", 3),
        ("share", "2.5", 2.5),
        ("flag", "true", True),
        ("flag", "no", False),
        ("text", "5", "5"),
        ("text", "null", "null"),
        ("path", "/tmp/x", Path("/tmp/x")),
        ("numbers", "[1, 2]", [1, 2]),
        ("choice", "q", "q"),
        ("mode", "slow", Mode.slow),
        ("maybe", "3", 3),
        ("maybe", "null", None),
        ("model", '{"layers": 2}', Model(2)),
        ("model", '{"layers": 2, "name": "x"}', Model(2, "x")),
        ("named", '{"a": 1}', {"a": 1}),
        ("day", "2026-01-31", date(2026, 1, 31)),
        ("anything", "[1]", [1]),
        ("anything", "plain text", "plain text"),
    ],
)
def test_a_text_becomes_what_the_annotation_wants(name: str, typed: str, value: Any) -> None:
    assert flow.parse({name: typed}) == {name: value}
    flow.trace(**{"whole": 1, **flow.parse({name: typed})})  # and is taken


@pytest.mark.parametrize(
    ("name", "typed", "wanted"),
    [
        ("whole", "x", "int"),
        ("whole", "1.5", "int"),
        ("share", "much", "float"),
        ("flag", "perhaps", "bool"),
        ("numbers", "1,2", "list[int] | None"),
        ("numbers", '["a"]', "list[int] | None"),
        ("choice", "z", "Literal['p', 'q']"),
        ("mode", "z", "Mode"),
        ("maybe", "x", "int | None"),
        ("model", '{"layers": "many"}', "Model | None"),
        ("model", '{"layer": 2}', "Model | None"),
        ("model", "{", "Model | None"),
        ("named", '{"a": "b"}', "dict[str, int] | None"),
        ("day", "someday", "date | None"),
    ],
)
def test_what_does_not_fit_is_refused_naming_parameter_text_and_type(
    name: str, typed: str, wanted: str
) -> None:
    with pytest.raises(Invalid) as refused:
        flow.parse({name: typed})
    assert f"workflow 'flow': parameter {name!r} is {typed!r}, expected" in refused.value.message
    assert refused.value.message.endswith(wanted)


def test_a_mistyped_name_is_corrected_and_what_is_needed_is_listed() -> None:
    with pytest.raises(Invalid) as unknown:
        flow.parse({"shaer": "1"})
    assert "did you mean 'share'?" in str(unknown.value.hint)
    with pytest.raises(Invalid) as missing:
        flow.trace()
    assert "missing a required argument: 'whole'" in missing.value.message
    assert str(missing.value.hint).startswith("it takes (whole: int, share: float = 0.5, flag: bool = False")


def test_the_command_line_lists_them_with_their_defaults(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "from headway import workflow\n\n@workflow\ndef train(out_dir: str, lr: float = 0.1, epochs: int = 3):\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "headway", "graph", "train.py", "--params"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1:] == [
        ["--out-dir", "str", "(needed)"],
        ["--lr", "float", "0.1"],
        ["--epochs", "int", "3"],
    ], done.stderr
