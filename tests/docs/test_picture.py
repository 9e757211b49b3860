"""The README's picture shows the last screen of a terminal, not all that passed over it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

picture = runpy.run_path(str(Path(__file__).resolve().parents[2] / "docs" / "picture.py"))


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        ("one\r\ntwo\r\n", ["one", "two"]),
        ("50 %\r90 %", ["90 %"]),
        ("gone\r\nkept\r\x1b[1A\x1b[2Knew\r\n", ["new", "kept"]),
        ("long line\r\x1b[Kx", ["x"]),
        ("a\r\nb\r\nc\r\x1b[2A\x1b[Jz", ["z"]),
        ("\x1b[?25lab\bc\x1b[?25h\x1b]0;title\x07", ["ac"]),
    ],
)
def test_screen(output: str, lines: list[str]) -> None:
    assert picture["screen"](output) == lines


def test_colours_stay_with_their_letters() -> None:
    [line] = picture["screen"]("\x1b[31mred\x1b[0m not")
    assert line == "\x1b[31mred\x1b[0m not"


def test_a_command_is_drawn(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "a" / "shot.svg"
    assert picture["main"]([str(target), "printf", "hello\\n"]) == 0
    drawn = target.read_text()
    assert "hello" in drawn
    assert "url(" not in drawn.replace("url(#", "")  # nothing is fetched when it is shown


def test_a_failing_command_gives_no_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "shot.svg"
    assert picture["main"]([str(target), "false"]) == 1
    assert not target.exists()
    assert "status 1" in capfd.readouterr().err
