"""The pages keep their word: Python blocks run, links lead somewhere, commands and options exist."""

from __future__ import annotations

import functools
import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from headway.cli.main import run

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(headway [^`]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAME = re.compile(r"# (\w+\.py)\n")
#: Commands that take a workflow's parameters as options, and how those look in a source.
TAKES_PARAMETERS = {"run", "submit", "graph"}
PARAMETER = re.compile(r"[(\s](\w+): \w+ = ")
#: A block that talks to a running service is compiled here; what it shows is tested with the client.
NEEDS_A_SERVICE = re.compile(r"\.submit\(|Client\(")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = ((match, text.count("\n", 0, match.start()) + 1) for match in FENCE.finditer(text))
    return [Block(page, line, m.group(1), m.group(2)) for m, line in found if m.group(1) == language]


def commands(page: Path) -> list[tuple[str, str]]:
    """(where, command line) for each `headway …` that a reader may type, in blocks and in the text."""
    shown = [
        (str(block), line[2:].partition(" #")[0].strip())
        for block in blocks(page, "console")
        for line in block.text.splitlines()
        if line.startswith("$ headway ")
    ]
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return shown + [(str(page.relative_to(ROOT)), line) for line in INLINE.findall(text)]


def parameters(page: Path, words: list[str]) -> str:
    """Options that a command gets from the parameters of the workflow it names, in a block or a file."""
    file = next((word.partition(":")[0] for word in words if ".py" in word), "")
    sources = [block.text for block in blocks(page, "python") if block.text.startswith(f"# {file}\n")]
    if (ROOT / file).is_file():
        sources.append((ROOT / file).read_text(encoding="utf-8"))
    return " ".join(f"--{name} " for source in sources for name in PARAMETER.findall(source))


@functools.cache
def help_of(*command: str) -> str:
    """What the program prints, in this process: some forty commands are looked up, and each of them would import it anew."""
    env = {"NO_COLOR": "1", "COLUMNS": "200", "TERMINAL_WIDTH": "200", "TERM": "dumb"}
    with pytest.MonkeyPatch.context() as patched, io.StringIO() as out, redirect_stdout(out):
        for name, value in env.items():
            patched.setenv(name, value)
        return out.getvalue() if run([*command, "--help"]) == 0 else ""


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda p: str(p.relative_to(ROOT))
)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """In the order of the page and in one folder, as a reader would save them."""
    env = os.environ | {"HEADWAY_STATE": str(tmp_path / "state")}
    for number, block in enumerate(blocks(page, "python")):
        named = NAME.match(block.text)
        path = tmp_path / (named.group(1) if named else f"block_{number}.py")
        path.write_text(block.text, encoding="utf-8")
        compile(block.text, str(block), "exec")
        if NEEDS_A_SERVICE.search(block.text):
            continue
        done = subprocess.run(
            [sys.executable, path.name], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{block} ends with status {done.returncode}:\n{done.stderr}"


def test_the_first_workflow_of_the_readme_gives_what_it_says(tmp_path: Path) -> None:
    [first] = blocks(ROOT / "README.md", "python")
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 12
    (tmp_path / "first.py").write_text(first.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from first import first; print(first(), first(n=4))"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["285", "14"], done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    for where, line in commands(page):
        name, *rest = line.split()[1:]
        if name.startswith("-"):
            assert name in help_of(), f"{where}: `{line}`: headway has no option {name}"
            continue
        text = help_of(name)
        assert text, f"{where}: `{line}`: there is no command {name!r}"
        text += parameters(page, rest) if name in TAKES_PARAMETERS else ""
        for word in rest:
            if word.startswith("-") and len(word) > 1:
                option = word.partition("=")[0]
                assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text), (
                    f"{where}: `{line}`: no option {option}"
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), (
                f"{page.relative_to(ROOT)} links to {target}, which does not exist"
            )


def test_the_tests_that_pages_name_exist() -> None:
    named = [
        (page.name, *found) for page in PAGES for found in TEST.findall(page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 40
    for page, file, name in named:
        assert re.search(
            rf"^ *(async )?def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE
        ), f"{page} names {file}::{name}, which there is not"


def test_the_pages_show_enough_to_test() -> None:
    """So that a change of the fences cannot silently turn the tests above into tests of nothing."""
    assert len(blocks(ROOT / "docs" / "tutorial.md", "python")) >= 5
    assert {"run", "submit", "why", "up", "down"} <= {
        line.split()[1] for _, line in commands(ROOT / "README.md")
    }
