"""`headway plan`: an answer in words, as JSON, and what it says to a call that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_the_command(tmp_path: Path, headway: Callable[..., Any]) -> None:
    (tmp_path / "tasks.csv").write_text(
        "id,arrival,duration\n" + "".join(f"t{i},{i},10\n" for i in range(200))
    )
    (tmp_path / "kinds.toml").write_text('[[node]]\nname = "small"\ncpu = 2\ncost = 1\nmost = 20\n')
    done = headway("plan", "tasks.csv", "-n", "kinds.toml", "--wait", "1s")
    assert done.code == 0, done.err
    assert done.out.startswith("5 small keep P95 wait up to 1.0 s")
    assert "with one small less it would be" in done.out
    done = headway("plan", "tasks.csv", "-n", "kinds.toml", "--wait", "1s", "--load", "100", "-o", "json")
    assert (done.code, '"met": false' in done.out) == (1, True)
    for arguments, said in (
        (("tasks.csv", "--wait", "1s"), "of which nodes?"),
        (("tasks.csv", "-n", "kinds.toml"), "how long may tasks wait?"),
        (("tasks.csv", "-n", "kinds.toml", "--wait", "soon"), "--wait='soon'"),
        (("tasks.csv", "-n", "kinds.toml", "--wait", "1s", "--ahead", "0s"), "nothing is ahead"),
    ):
        done = headway("plan", *arguments)
        assert (done.code, said in done.err) == (2, True), done.err
    assert headway("plan", "tasks.csv", "-n", "none.toml", "--wait", "1s").code == 4
