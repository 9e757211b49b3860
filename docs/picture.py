"""Makes the README's picture: runs a command in a terminal of 100 columns and draws its last screen as SVG.

    .venv/bin/python docs/picture.py docs/images/demo.svg headway demo

A terminal (pty) and not a pipe, so that the picture shows what a person sees, colours and live lines
included. Only what Headway and Rich print is understood: text, colours, carriage return, cursor up, erase.
"""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from fcntl import ioctl
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 100, 50
TIMEOUT = 300.0  # seconds; a command that hangs gives no picture
_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\r\n\b]|[^\x1b\r\n\b]")


def capture(command: list[str], timeout: float = TIMEOUT) -> tuple[str, int]:
    """Run the command in a terminal of its own.

    Returns:
        All it printed, and its exit status.
    """
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = os.environ | {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "COLUMNS": str(COLUMNS),
        "LINES": str(ROWS),
    }
    env.pop("NO_COLOR", None)
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True
    )
    os.close(slave)
    parts, deadline = [], time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.2)[0]:
                if child.poll() is not None:
                    break
                continue
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux says so when the last writer has closed the terminal
                break
            if not chunk:
                break
            parts.append(chunk)
    finally:
        os.close(master)  # hangs up: a command that is still there ends by SIGHUP
        try:
            status = child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            status = child.wait()
    return b"".join(parts).decode(errors="replace"), status


def screen(output: str) -> list[str]:
    """The lines that are left on an endless screen after the output, colours kept as escape sequences."""
    cells: list[list[tuple[str, str]]] = [[]]
    row = column = 0
    style = ""
    for match in _TOKEN.finditer(output):
        arguments, final, text = match.group(1), match.group(2), match.group(0)
        if final == "m":
            style = "" if arguments in ("", "0") else style + text
        elif final == "A":
            row = max(0, row - int(arguments or 1))
        elif final == "K":
            # 0: to the end of the line, 2: all of it. 1 (up to the cursor) is not used by what we draw.
            cells[row] = [] if arguments == "2" else cells[row][:column]
        elif final == "J":
            cells[row] = cells[row][:column]
            del cells[row + 1 :]
        elif text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            if row == len(cells):
                cells.append([])
        elif text == "\b":
            column = max(0, column - 1)
        elif not final and text[0] != "\x1b":
            line = cells[row]
            line.extend([(" ", "")] * (column - len(line)))
            line[column : column + 1] = [(text, style)]
            column += 1
    lines = ["".join(_runs(line)) for line in cells]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _runs(line: list[tuple[str, str]]) -> Iterator[str]:
    """Neighbours of one style as one piece: a piece for each letter would make the picture ten times as large."""
    for style, run in groupby(line, key=itemgetter(1)):
        text = "".join(char for char, _ in run)
        yield f"{style}{text}\x1b[0m" if style else text


def draw(lines: list[str], title: str, path: Path) -> None:
    """Write the screen as an SVG."""
    with open(os.devnull, "w") as nowhere:
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without web fonts: a picture in a README fetches nothing.
        svg = re.sub(r"@font-face \{.*?\}\s*", "", console.export_svg(title=title), flags=re.DOTALL)
        path.write_text(svg, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`picture.py FILE.svg COMMAND...`; the exit status is the command's."""
    if len(arguments) < 2 or not arguments[0].endswith(".svg"):
        print(__doc__, file=sys.stderr)
        return 2
    output, status = capture(arguments[1:])
    if status:
        print(
            f"{' '.join(arguments[1:])} ended with status {status}; no picture made\n{output[-2000:]}",
            file=sys.stderr,
        )
        return 1
    # Where the picture was taken says nothing about where the reader's folder is.
    output = output.replace(str(Path.cwd()), "~/headway")
    draw(screen(output), "$ " + " ".join(arguments[1:]), Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
