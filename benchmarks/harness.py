"""What all benchmarks share: figures with limits, alternating runs, a load guard, a service of their own.

A benchmark prints a table for people and, as its last line, one JSON object for programs:

    {"bench": "latency", "figures": [{"name", "value", "unit", "limit", "ok", "against", "note"}]}

and exits 1 when a limit is missed or a figure with a limit could not be measured. Absolute times depend on
the machine; so a limit is a ratio to something measured in the same minutes wherever that is possible.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from headway import Client

HERE = Path(__file__).resolve().parent
#: Cores used by processes outside the benchmark, above which a round is worth little and is measured again.
OTHERS_LIMIT = 0.3
#: How often a disturbed round is repeated before it is taken as it is, with a note.
REPEATS = 2


@dataclass(frozen=True)
class Figure:
    """One number and what is demanded of it.

    Attributes:
        name: Stable; as the issue calls it.
        value: None when it could not be measured; `note` then says why, and it is never ok.
        unit: Of the value; `x` for a ratio.
        limit: As text, `>= 1.5` or `<= 2`; None for a figure that is only shown.
        against: What it is compared with.
        note: Conditions worth knowing: disturbed rounds, sizes.
    """

    name: str
    value: float | None
    unit: str
    limit: str | None = None
    against: str | None = None
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether the limit is kept; None without a limit."""
        if self.limit is None:
            return None
        sign, bound = self.limit.split()
        if self.value is None:
            return False
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)


def report(bench: str, figures: Sequence[Figure]) -> int:
    """Print the table and the JSON line.

    Returns:
        The exit status: 1 if a limit is missed.
    """
    rows = [("figure", "value", "limit", "", "against")]
    for figure in figures:
        value = "not measured" if figure.value is None else f"{figure.value:,.4g} {figure.unit}"
        verdict = {True: "ok", False: "MISSED", None: ""}[figure.ok]
        rows.append((figure.name, value, figure.limit or "", verdict, figure.against or ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for figure in figures:
        if figure.note:
            print(f"  {figure.name}: {figure.note}")
    print(json.dumps({"bench": bench, "figures": [asdict(figure) | {"ok": figure.ok} for figure in figures]}))
    return 1 if any(figure.ok is False for figure in figures) else 0


# ------------------------------------------------------------------------------------------- alternating runs


@dataclass(frozen=True)
class Absent:
    """A contender that cannot be measured here, and why."""

    reason: str


Measured = Mapping[str, float] | Absent


@dataclass
class Rounds:
    """What the contenders measured, round by round.

    Attributes:
        values: Contender -> figure -> one value a round.
        absent: Contender -> why it was not measured.
        disturbed: Rounds that were taken although others used the machine.
    """

    values: dict[str, dict[str, list[float]]]
    absent: dict[str, str]
    disturbed: int

    def median(self, contender: str, figure: str) -> float | None:
        """The median over the rounds; None when the contender is absent."""
        found = self.values.get(contender, {}).get(figure)
        return statistics.median(found) if found else None

    def ratio(
        self, name: str, limit: str, ours: tuple[str, str], theirs: tuple[str, str], note: str = ""
    ) -> Figure:
        """Ours over theirs as a figure. Each is (contender, figure)."""
        mine, other = self.median(*ours), self.median(*theirs)
        missing = [f"{who}: {self.absent[who]}" for who in (ours[0], theirs[0]) if who in self.absent]
        notes = [note, *missing, f"{self.disturbed} disturbed rounds" if self.disturbed else ""]
        value = None if mine is None or not other else mine / other
        shown = "" if mine is None or other is None else f": {mine:,.4g} / {other:,.4g}"
        return Figure(
            name, value, "x", limit, f"{theirs[0]} {theirs[1]}{shown}", "; ".join(filter(None, notes))
        )


def alternate(contenders: Mapping[str, Callable[[], Measured]], rounds: int = 3) -> Rounds:
    """Let the contenders take turns, each round in reverse order of the last, so that drift hits all alike.

    A round in which other processes used more than `OTHERS_LIMIT` cores is repeated, at most `REPEATS` times
    in all.
    """
    result = Rounds({name: {} for name in contenders}, {}, 0)
    repeats, done = REPEATS, 0
    while done < rounds:
        names = [name for name in contenders if name not in result.absent]
        taken: dict[str, Mapping[str, float]] = {}
        others = other_load()
        for name in names if done % 2 == 0 else reversed(names):
            measured = contenders[name]()
            if isinstance(measured, Absent):
                result.absent[name] = measured.reason
            else:
                taken[name] = measured
        others = max(others, other_load())
        print(
            f"round {done + 1}: {_shown(taken)}; other load {others:.2f} cores", file=sys.stderr, flush=True
        )
        if others > OTHERS_LIMIT and repeats:
            repeats -= 1
            continue
        result.disturbed += others > OTHERS_LIMIT
        done += 1
        for name, measured in taken.items():
            for figure, value in measured.items():
                result.values[name].setdefault(figure, []).append(value)
    return result


def _shown(taken: Mapping[str, Mapping[str, float]]) -> str:
    return "; ".join(f"{name} " + " ".join(f"{k}={v:.4g}" for k, v in m.items()) for name, m in taken.items())


def other_load(seconds: float = 0.5) -> float:
    """Cores in use while we do nothing. Measured before and after a round, not during one: what a peer's own
    daemons used cannot be told from what strangers used once they have ended. Niced work is left out."""

    def busy() -> int:
        with open("/proc/stat") as stat:
            user, _nice, system, _idle, _wait, irq, soft, *_ = map(int, stat.readline().split()[1:])
        return user + system + irq + soft

    before, started = busy(), time.monotonic()
    time.sleep(seconds)
    return (busy() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - started)


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; share 0.95 for P95."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


# --------------------------------------------------------------------------------------- a service of our own


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        client: Talks to it.
        pid: Of its supervisor.
    """

    client: Client
    pid: int


@contextmanager
def service(cpus: int = 2) -> Iterator[Service]:
    """`headway up` on a temporary state folder, one node of `cpus` slots. All of it is gone afterwards."""
    from headway import Client

    # On the disk that a service would use, not in memory: what is durable must cost what it costs.
    with tempfile.TemporaryDirectory(prefix="headway-bench-", ignore_cleanup_errors=True) as folder:
        env = os.environ | {"HEADWAY_STATE": folder, "HEADWAY_NODE_CPUS": str(cpus)}
        up = _headway("up", env=env, log=Path(folder) / "up.log")
        try:
            pid = _until_ready(up, Path(folder))
            with Client(state=folder) as client:
                client.ready()
                yield Service(client, pid)
        finally:
            _headway("down", env=env, log=Path(folder) / "down.log").wait(30)
            try:
                up.wait(20)
            except subprocess.TimeoutExpired:
                up.kill()
                up.wait(10)


def _headway(command: str, *, env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    code = "from headway.cli.main import main; main()"
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", code, command],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _until_ready(up: subprocess.Popen[bytes], folder: Path, timeout: float = 30) -> int:
    """The supervisor's process id; `headway up` may stay in the foreground or leave a service behind."""
    deadline = time.monotonic() + timeout
    found = folder / "service.json"
    while not found.exists():
        if up.poll() or time.monotonic() > deadline:
            log = (folder / "up.log").read_text(errors="replace")
            raise SystemExit(f"headway up did not become ready (status {up.poll()}):\n{log[-3000:]}")
        time.sleep(0.02)
    return int(json.loads(found.read_text())["pid"])


def pss_megabytes(pid: int) -> float:
    """Proportional set size of a process and all below it, in MB: shared pages count once over all."""
    total = 0
    root = psutil.Process(pid)
    for process in (root, *root.children(recursive=True)):
        try:
            with open(f"/proc/{process.pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, psutil.Error):
            continue
    return total * 1024 / 1e6
