"""What runs while the killer strikes. Every execution leaves a line, flushed to disk, in a file that Headway knows nothing of.

It is copied beside the ledger and submitted from there, so it imports nothing of these tests.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from headway import checkpoint, loop, progress, task, workflow

#: Enough for any number of killed workers.
RETRIES = 40


def line(ledger: str, more: str = "") -> str:
    """Append "task attempt": one write, on disk before the task goes on. Returns what was written."""
    text = f"{os.environ['HEADWAY_TASK']} {os.environ['HEADWAY_ATTEMPT']}{more}"
    fd = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, f"{text}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)
    return text


@task(cpu=1, retries=RETRIES)
def short(ledger: str, number: int) -> list[str]:
    return [line(ledger)]


@task(cpu=1, retries=RETRIES)
def steady(ledger: str, steps: int) -> list[str]:
    """Work that is kept in pieces; where it goes on from stands in a ledger beside the first."""
    said = line(ledger)
    begin = checkpoint.load(0)
    line(f"{ledger}.from", f" {begin}")
    for step in range(begin, steps):
        time.sleep(0.1)
        checkpoint(step + 1)
        progress((step + 1) / steps)
    return [said]


@task(cpu=1, retries=RETRIES)
def hop(ledger: str, before: list[str]) -> list[str]:
    return [*before, line(ledger)]


@task(cpu=1, retries=RETRIES)
def shaky(ledger: str, number: int) -> list[str]:
    """Its first attempt fails by its own doing."""
    said = line(ledger)
    if said.endswith(" 1"):
        raise RuntimeError("the first attempt fails")
    return [said]


@task(cpu=1, at_most_once=True)
def once(ledger: str, number: int) -> list[str]:
    said = line(ledger)
    time.sleep(0.05 + 0.05 * (number % 4))
    return [said]


@task(cpu=1, retries=RETRIES)
def gather(ledger: str, parts: list[list[str]]) -> list[str]:
    return [line(ledger), *(said for part in parts for said in part)]


@task(cpu=1, retries=RETRIES)
def meet(folder: str, name: str, wanted: int) -> int:
    """Ends only when `wanted` of its kind run at the same time."""
    Path(folder, name).touch()
    until = time.monotonic() + 40
    while (here := len(os.listdir(folder))) < wanted:
        if time.monotonic() > until:
            raise RuntimeError(f"only {here} of {wanted} run at once")
        time.sleep(0.02)
    return here


@workflow
def fan(ledger: str, width: int) -> list[str]:
    return gather(ledger, short.map([ledger] * width, list(range(width))))


@workflow
def steadies(ledger: str, steps: int) -> list[str]:
    return gather(ledger, [steady(ledger, steps), steady(ledger, steps + 2)])


@workflow
def chain(ledger: str, length: int) -> list[str]:
    said = short(ledger, 0)
    for _ in range(length):
        said = hop(ledger, said)
    return said


@workflow
def retried(ledger: str, width: int) -> list[str]:
    return gather(ledger, shaky.map([ledger] * width, list(range(width))))


@workflow
def mixed(ledger: str, width: int) -> list[str]:
    """Each item flows on alone, behind a task that takes its time."""
    first = steady(ledger, 3)
    return gather(ledger, hop.map([ledger] * width, [first] * width))


@workflow
def onces(ledger: str, width: int) -> list[list[str]]:
    return once.map([ledger] * width, list(range(width)))


@workflow
def probe(folder: str, wanted: int) -> list[int]:
    return meet.map([folder] * wanted, [str(n) for n in range(wanted)], wanted=wanted)


#: By name: the workflow, the smallest and the largest size.
KINDS = {
    "fan": (fan, 4, 16),
    "steadies": (steadies, 2, 7),
    "chain": (chain, 2, 6),
    "retried": (retried, 1, 3),
    "mixed": (mixed, 2, 6),
    "onces": (onces, 2, 5),
}


@task(cpu=0.1)
def nothing(number: int) -> int:
    return number


@workflow
def nothings(width: int) -> list[int]:
    return nothing.map(range(width))


@task(cpu=1, retries=RETRIES)
def turn(said: list[str]) -> list[str]:
    """One more line, of whichever attempt made it; said[0] is the ledger."""
    time.sleep(0.2)
    return [*said, line(said[0])]


@task(dynamic=True, cpu=1, retries=RETRIES)
def spread(said: list[str]) -> list[list[str]]:
    return turn.map([[said[0]]] * 3)


@workflow
def growing(ledger: str, turns: int) -> list[list[str]]:
    return spread(loop(turn, [ledger], until=lambda said: len(said) > turns, limit=2 * turns))
