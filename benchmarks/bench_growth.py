"""What does size cost? Time and memory per task with a long queue, an idle service, a fresh install.

python -m benchmarks.bench_growth [--rounds 3] [--few 1000] [--queued 100000] [--no-install]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import HERE, Figure, Rounds, Service, alternate, pss_megabytes, report, service

ROOT = HERE.parent
TIMEOUT = 600.0
SLOTS = 2
SETTLE = 3.0  # seconds of doing nothing before memory is read


def queued(n: int) -> dict[str, float]:
    """Queue `n` tasks behind occupied slots, look at the memory, let them go.

    Returns:
        Milliseconds from one start to the next over the whole queue, and kB of all processes per queued task.
    """
    with service(cpus=SLOTS) as running, tempfile.TemporaryDirectory() as folder:
        client, gate = running.client, Path(folder) / "go"
        client.submit(jobs.many, n=200).result(TIMEOUT)
        blockers = client.submit(jobs.holders, slots=SLOTS, gate=str(gate))
        _until(lambda: len(client.tasks(blockers.id, state="running")) == SLOTS, "the blockers to run")
        time.sleep(SETTLE)
        empty = pss_megabytes(running.pid)
        run = client.submit(jobs.many, n=n)
        _until_queued(running, run.id, n)
        time.sleep(SETTLE)
        full = pss_megabytes(running.pid)
        gate.touch()
        moments = sorted(run.result(TIMEOUT))
    return {
        "ms_per_task": 1000 * (moments[-1] - moments[0]) / (n - 1),
        "kb_per_task": 1000 * (full - empty) / n,
    }


def _until_queued(running: Service, run: str, n: int) -> None:
    """Until every one of the tasks is known to the scheduler's queue."""
    _until(lambda: running.client.run(run)["counts"].get("queued", 0) >= n, f"{n} tasks to be queued")


def _until(reached, what: str, timeout: float = 180) -> None:
    deadline = time.monotonic() + timeout
    while not reached():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.1)


def idle() -> float:
    """MB (PSS, all processes) of a service that has worked and now does nothing."""
    with service(cpus=SLOTS) as running:
        running.client.submit(jobs.many, n=200).result(TIMEOUT)
        time.sleep(SETTLE)
        return pss_megabytes(running.pid)


def install() -> tuple[int, float]:
    """Packages and MB that `pip install headway` brings into an empty environment; pip does not count."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True)
        python = str(Path(folder) / "bin" / "python")
        before = _size(Path(folder))
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "install", "--quiet", "--constraint", str(ROOT / "constraints.txt"), str(ROOT)],
            check=True, capture_output=True, timeout=600,
        )  # fmt: skip
        listed = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True)
        return len(listed.stdout.splitlines()), _size(Path(folder)) - before


def _size(folder: Path) -> float:
    return (
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
        / 1e6
    )


def main() -> int:
    """Measure, print, and the exit status."""
    options = _options()
    rounds = alternate(
        {"few": lambda: queued(options.few), "queued": lambda: queued(options.queued)}, options.rounds
    )
    figures = _of_queue(rounds, options)
    figures.append(
        Figure(
            "idle_pss_mb",
            statistics.median(idle() for _ in range(options.rounds)),
            "MB",
            "<= 300",
            None,
            "all processes",
        )
    )
    if options.install:
        packages, megabytes = install()
        figures.append(Figure("install_packages", packages, "packages", "<= 70"))
        figures.append(Figure("install_mb", megabytes, "MB", "<= 210"))
    return report("growth", figures)


def _of_queue(rounds: Rounds, options: argparse.Namespace) -> list[Figure]:
    ratio = rounds.ratio(
        "time_per_task_ratio", "<= 1.3", ("queued", "ms_per_task"), ("few", "ms_per_task"),
        f"{options.queued} tasks queued against {options.few}",
    )  # fmt: skip
    memory = rounds.median("queued", "kb_per_task")
    return [
        ratio,
        Figure("kb_per_queued_task", memory, "kB", "<= 3", None, "PSS of all processes, full less empty"),
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--few", type=int, default=1000, help="tasks in the short queue")
    parser.add_argument("--queued", type=int, default=100_000, help="tasks in the long queue")
    parser.add_argument(
        "--no-install", dest="install", action="store_false", help="leave the size of an install out"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
