"""What the end-to-end tests run. It lies alone in a folder of its own there, as `flows.py`, as a person's file would."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from headway import checkpoint, progress, shell, task, workflow


def await_file(path: str) -> None:
    """Until somebody makes the file; a minute at most."""
    until = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > until:
            raise TimeoutError(path)
        time.sleep(0.01)


def note(path: str, line: object) -> None:
    with open(path, "a") as file:
        file.write(f"{line}\n")


# ── authoring ───────────────────────────────────────────────────────────────────────────────────────────────────────


@task
def double(x: int) -> int:
    return 2 * x


@task
async def slowly(x: int) -> int:
    await asyncio.sleep(0.001)
    return x + 1


@task
def total(numbers: list, said: Any) -> str:
    return f"{sum(numbers)} {said.stdout.strip()}"


@workflow
def everything(n: int = 4) -> str:
    return total(slowly.map(double.map(list(range(n)))), shell("echo words"))


@workflow
def trivial() -> int:
    return double(21)


@task
def first(i: int, folder: str) -> int:
    if i == 0:
        await_file(f"{folder}/second-1")
    return i


@task
def second(i: int, folder: str) -> int:
    Path(folder, f"second-{i}").touch()
    return i


@workflow
def flows_alone(folder: str) -> list:
    return second.map(first.map([0, 1], folder=folder), folder=folder)


@task
def touch(path: str) -> int:
    Path(path).touch()
    return 1


@workflow
def touches(path: str) -> int:
    return touch(path)


@workflow
def raises(n: int = 1) -> int:
    return {}[n]


@task(cpu=100, memory="1TB")
def huge() -> int:
    return 1


@workflow
def impossible() -> int:
    return huge()


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@task
def same(value: Any) -> Any:
    return value


@task
def ones(n: int) -> np.ndarray:
    return np.ones(n)


@task
def mean(array: np.ndarray) -> float:
    return float(array.mean())


@workflow
def passes(array: np.ndarray) -> float:
    return mean(same(array))


@workflow
def gives(n: int) -> np.ndarray:
    return same(ones(n))


# ── ends of all kinds ───────────────────────────────────────────────────────────────────────────────────────────────


@task
def misbehave(how: str) -> int:
    match how:
        case "raise":
            raise ValueError("no luck")
        case "exit":
            sys.exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "print":
            line = "x" * 999 + "\n"
            for _ in range(100_000):
                sys.stdout.write(line)
    return 1


@task
def needs(x: int) -> int:
    return x


@workflow
def misbehaves(how: str) -> int:
    return needs(misbehave(how))


@workflow
def command(gate: str) -> Any:
    return shell("echo out; echo complaint >&2; test -e {gate}", gate=gate)


@task(at_most_once=True)
def once(path: str) -> int:
    note(path, "paid")
    os.kill(os.getpid(), signal.SIGKILL)
    return 1


@workflow
def pays(path: str) -> int:
    return once(path)


@task(timeout="300ms")
def overdue(pids: str) -> int:
    child = subprocess.Popen(["sleep", "300"], start_new_session=True)
    note(pids, child.pid)
    time.sleep(300)
    return 1


@workflow
def times_out(pids: str) -> int:
    return overdue(pids)


@task(retries=2)
def unlucky(times: str) -> int:
    note(times, time.monotonic())
    raise RuntimeError("again")


@workflow
def retries(times: str) -> int:
    return unlucky(times)


@task
def cleans_up(path: str) -> int:
    note(path, "started")
    try:
        time.sleep(300)
    finally:
        note(path, "cleaned up")
    return 1


@task
def clings(path: str) -> int:
    note(path, "started")
    while True:
        try:
            time.sleep(300)
        except BaseException as error:
            note(path, type(error).__name__)


@workflow
def ends(path: str, stubborn: bool = False) -> int:
    return clings(path) if stubborn else cleans_up(path)


# ── long ones ───────────────────────────────────────────────────────────────────────────────────────────────────────


@task(cpu=0.5)
def steps(folder: str, count: int) -> list:
    done = begun = checkpoint() or 0
    while done < count:
        if done == 2 and begun == 0:
            await_file(f"{folder}/go")
        done += 1
        progress(done / count)
        checkpoint(done)
        Path(folder, "pid").write_text(f"{os.getpid()} {done}")
    return [begun, done]


@workflow
def resumes(folder: str, count: int = 4) -> list:
    return steps(folder, count)


@task
def speak(gate: str) -> int:
    print("first line", flush=True)
    await_file(gate)
    print("last line", flush=True)
    return 1


@workflow
def speaks(gate: str) -> int:
    return speak(gate)


@task
def who(i: int) -> int:
    return os.getpid()


@workflow
def processes(n: int) -> list:
    return who.map(list(range(n)))


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def devices(gate: str) -> str:
    await_file(gate)
    return os.environ["CUDA_VISIBLE_DEVICES"]


@task(cpu=0.1, gpu=0.5)
def half(gate: str) -> str:
    return devices(gate)


@task(cpu=0.1, gpu=0.8)
def most(gate: str) -> str:
    return devices(gate)


@task(cpu=0.1, gpu=2)
def both(gate: str) -> str:
    return devices(gate)


@task(cpu=0.1)
def none(gate: str) -> str:
    return devices(gate)


@workflow
def halves(gates: list) -> list:
    return half.map(gates)


@workflow
def mostly(gate: str) -> str:
    return most(gate)


@workflow
def all_and_none(gate: str) -> list:
    return [both(gate), none(gate)]


@task(cpu=4, priority=0)
def patient(folder: str) -> list:
    done = begun = checkpoint() or 0
    while True:
        done += 1
        checkpoint(done)
        Path(folder, "begun").touch()
        if Path(folder, "enough").exists():
            return [begun, done]
        time.sleep(0.02)


@workflow
def gives_way(folder: str) -> list:
    return patient(folder)


@task(cpu=4, priority=10)
def urgent(folder: str) -> int:
    Path(folder, "enough").touch()
    return 1


@workflow
def hurries(folder: str) -> int:
    return urgent(folder)


@task(cpu=4)
def holder(gate: str) -> int:
    await_file(gate)
    return 1


@workflow
def holds(gate: str) -> int:
    return needs(holder(gate))


# ── a plan ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@task(cpu=4, estimate=1)
def holds_all(path: str) -> int:
    await_file(path)
    return 0


@task(cpu=4, estimate=5)
def short() -> int:
    return 1


@task(cpu=4, estimate=6)
def opens(path: str) -> list:
    return [1, 2, 3, 4]


@task(cpu=4, estimate=1)
def tiny(opened: list) -> int:
    return 2


@workflow
def weighed(path: str) -> int:
    """The greedy order takes `short` first; four wait for `opens`, so the plan takes that."""
    holds_all(path)
    found = opens(path)
    for _ in range(4):
        tiny(found)
    return short()


@task(gang=True, cpu=0.5)
def member(shard: int) -> list[object]:
    return [shard, *(os.environ[f"HEADWAY_GANG_{name}"] for name in ("RANK", "SIZE", "NODES"))]


@task
def no_member(gang: list[object]) -> bool:
    return "HEADWAY_GANG_RANK" in os.environ


@workflow
def together() -> list[object]:
    gang = member.map([10, 20])
    return [gang, no_member(gang)]


@task
def span(start: str, end: str, scale: int) -> list[Any]:
    return [start, end, scale]


@task
def given(event: Any) -> Any:
    return event


@workflow
def interval(interval_start: str, interval_end: str, scale: int = 1) -> Any:
    return span(interval_start, interval_end, scale)


@workflow
def ingest(event: Any) -> Any:
    return given(event)


@workflow
def formats_event(event: Any) -> Any:
    return given(f"{event}")


@workflow
def maps_event(event: Any) -> Any:
    return given.map(event)
