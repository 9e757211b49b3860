"""The killer: SIGKILL at seeded random times over all processes of a Headway under load, then the accounts.

    python -m tests.faults.killer --kills 200 --seed 7

Prints what it did and found; the last line is one JSON object. Exit code 1 when a promise was broken; the folder is kept then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.client import Client
from headway.client.packing import pack
from headway.errors import HeadwayError

from .accounts import Accounts, audit
from .site import CHILDREN, Site, wait_for

#: Runs under way at any time.
LIVE_RUNS = 10
#: So long all that was acknowledged may take to end after the last strike (seconds).
DRAIN_WITHIN = 90.0
#: A child that dies so often before it is `HEALTHY` seconds old is left alone until it is: its supervisor would give it up.
QUICK_DEATHS, HEALTHY = 3, 6.0

SUPERVISOR, WORKER = "supervisor", "worker"
#: How often who is struck, relatively.
WEIGHTS = {"service": 5, "executor": 5, "broker": 4, WORKER: 6, SUPERVISOR: 2}
#: The share of strikes that hit two at once.
PAIRS = 0.2
#: The share of submissions that are sent once more with the same key.
REPEATS = 0.2


@dataclass
class Load:
    """Submits runs for ever, as a careful client does: with a key, and noting what was acknowledged."""

    site: Site
    rng: random.Random
    workload: Any
    ledger: Path
    acknowledged_file: Path
    stop: threading.Event = field(default_factory=threading.Event)
    #: Run -> kind, as acknowledged.
    acknowledged: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    broken: int = 0
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Until `stop`; an error of ours is a problem, never a silent end."""
        try:
            with self.site.client() as client:
                while not self.stop.is_set():
                    self._turn(client)
        except Exception as error:
            self.problems.append(f"the load ended: {type(error).__name__}: {error}")

    def _turn(self, client: Client) -> None:
        kind = self.rng.choice(list(self.workload.KINDS))
        flow, least, most = self.workload.KINDS[kind]
        key = secrets.token_hex(8)
        packed = pack(flow, (str(self.ledger), self.rng.randint(least, most)), {})
        again = self.rng.random() < REPEATS
        run = self._persist(lambda: client.submit_packed(packed, idempotency_key=key).id)
        if run is None:
            return
        self._note(run, kind)
        if (
            again
            and (other := self._persist(lambda: client.submit_packed(packed, idempotency_key=key).id))
            is not None
        ):
            self.repeated += 1
            if other != run:
                self.problems.append(f"one key gave two runs: {run} and {other}")
        while not self.stop.is_set():
            running = self._persist(lambda: len(client.runs(state="running", limit=1000)))
            if running is None or running < LIVE_RUNS:
                return
            self.stop.wait(0.1)

    def _persist(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer; the same question, with the same key. None after `stop`."""
        while not self.stop.is_set():
            try:
                return ask()
            except HeadwayError as error:
                if error.status < 500:
                    raise
                self.broken += 1
                self.stop.wait(0.1)
        return None

    def _note(self, run: str, kind: str) -> None:
        fd = os.open(self.acknowledged_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, f"{run} {kind}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        self.acknowledged[run] = kind


class Killer:
    """Chooses who is struck, and strikes."""

    def __init__(self, site: Site, rng: random.Random, say: Callable[[str], None]) -> None:
        self.site, self._rng, self._say = site, rng, say
        self.kills: Counter[str] = Counter()
        self.given_up = 0
        self._quick: Counter[str] = Counter()
        self._seen: dict[str, tuple[int, float]] = {}

    def strike(self) -> None:
        """Kill one, sometimes two at once; a killed supervisor is started again."""
        self.tend()
        names = self._choose()
        victims = [(name, pid) for name in names if (pid := self._pid(name)) is not None]
        for name, pid in victims:
            self.site.kill(pid)
            self.kills[name] += 1
        self._say(
            " + ".join(f"{name} {pid}" for name, pid in victims)
            or f"nobody: {' + '.join(names)} is not there"
        )
        for name, pid in victims:
            self._count(name, pid)
        if any(name == SUPERVISOR for name, _ in victims):
            wait_for(lambda: not self.site.processes(), "the end of all processes of a killed supervisor", 20)
            self._restart()

    def tend(self) -> None:
        """A supervisor whose child died too often in quick succession has ended, as it should: start it again."""
        if self.site.processes():
            return
        self.given_up += 1
        self._say("given up by its supervisor: started again")
        self._restart()

    def _restart(self) -> None:
        self._seen.clear()
        self._quick.clear()
        self.site.up()

    def _choose(self) -> list[str]:
        names = [name for name in WEIGHTS if self._may(name)]
        first = self._rng.choices(names, [WEIGHTS[name] for name in names])[0]
        if self._rng.random() >= PAIRS or len(names) == 1:
            return [first]
        rest = [name for name in names if name != first]
        return [first, self._rng.choices(rest, [WEIGHTS[name] for name in rest])[0]]

    def _pid(self, name: str) -> int | None:
        if name == WORKER:
            workers = self.site.workers()
            return self._rng.choice(sorted(workers)) if workers else None
        return self.site.pid(name)

    def _may(self, name: str) -> bool:
        """Whether its supervisor would start it once more."""
        if name not in CHILDREN:
            return True
        pid = self.site.pid(name)
        if pid is None:
            return False
        seen, since = self._seen.get(name, (0, 0.0))
        if seen != pid:
            self._seen[name] = (pid, time.monotonic())
            return self._quick[name] < QUICK_DEATHS
        if time.monotonic() - since >= HEALTHY:
            self._quick[name] = 0
        return self._quick[name] < QUICK_DEATHS

    def _count(self, name: str, pid: int) -> None:
        if name in CHILDREN:
            self._quick[name] += 1
            self._seen.pop(name, None)


def kill_under_load(
    kills: int,
    seed: int,
    folder: Path,
    *,
    pause: tuple[float, float] = (0.2, 1.4),
    say: Callable[[str], None] = print,
) -> Accounts:
    """The whole exercise.

    Args:
        kills: Processes to kill.
        seed: Of all chance: when, whom, what is submitted.
        folder: Empty; for state, ledger and logs.
        pause: Shortest and longest time between two strikes, seconds.
        say: Takes the story.

    Raises:
        AssertionError: Headway did not come back, or did not finish in time.
    """
    site = Site(folder, cpus=4)
    workload = import_workload(folder)
    load = Load(site, random.Random(seed), workload, folder / "ledger", folder / "acknowledged")
    killer = Killer(site, random.Random(seed + 1), say)
    began = time.monotonic()
    submitter = threading.Thread(target=load.run, name="load", daemon=True)
    try:
        site.up()
        submitter.start()
        wait_for(lambda: load.ledger.exists() or load.problems, "the first task", 60)
        while sum(killer.kills.values()) < kills and not load.problems:
            time.sleep(killer._rng.uniform(*pause))
            killer.strike()
        killer.tend()
        load.stop.set()
        submitter.join(90)
        struck = time.monotonic() - began
        say(
            f"{sum(killer.kills.values())} kills in {struck:.0f} s: {dict(killer.kills)}; {len(load.acknowledged)} runs acknowledged"
        )
        with site.client() as client:
            _drain(client, killer)
            accounts = audit(site, client, load.acknowledged, load.ledger, load.problems)
            _probe(site, client, workload, accounts)
        site.down()
        if left := site.processes():
            accounts.problems.append(f"processes left after `headway down`: {left}")
        accounts.audit_journal(site.state)
    finally:
        load.stop.set()
        site.clear()
    accounts.figures |= {
        "seed": seed,
        "kills": sum(killer.kills.values()),
        "killed": dict(killer.kills),
        "given_up": killer.given_up,
        "submitted_twice": load.repeated,
        "refused_or_broken": load.broken,
        "seconds": round(time.monotonic() - began, 1),
    }
    return accounts


def import_workload(folder: Path) -> Any:
    """The workload as a user's module in a folder of its own: that folder is what travels."""
    home = folder / "project"
    home.mkdir()
    name = "workload_" + secrets.token_hex(4)
    shutil.copy(Path(__file__).with_name("workload.py"), home / f"{name}.py")
    sys.path.insert(0, str(home))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(home))


def _drain(client: Client, killer: Killer) -> None:
    """Until no acknowledged run is under way."""
    left: list[str] = []

    def over() -> bool:
        time.sleep(0.2)
        killer.tend()
        left[:] = [view["id"] for view in client.runs(state="running", limit=1000)]
        return not left

    try:
        wait_for(over, "the end of all runs", DRAIN_WITHIN)
    except AssertionError:
        stuck = [
            task
            for run in left[:5]
            for task in client.tasks(run)
            if task["state"] in ("waiting", "queued", "running")
        ]
        nodes, stats = client.nodes(), client.stats()
        raise AssertionError(
            f"still running: {left}\n{json.dumps(stuck[:10], indent=1)}\n{nodes}\n{stats}"
        ) from None


def _probe(site: Site, client: Client, workload: Any, accounts: Accounts) -> None:
    """Nothing is held any more, and every slot can be used: as many tasks as slots run at the same time."""

    def free() -> bool:
        nodes = client.nodes()
        return len(nodes) == 1 and nodes[0]["cpu_free"] == nodes[0]["cpu"] and not nodes[0]["leases"]

    try:
        wait_for(free, "all capacity to be free", 30)
    except AssertionError:
        accounts.problems.append(f"leaked: {client.nodes()} {client.stats()}")
    spools = {path.stem for path in (site.state / "run" / "local").glob("*.spool")}
    if len(site.workers()) > len(spools):
        accounts.problems.append(f"workers without a spool: {site.workers()} {sorted(spools)}")
    place = site.folder / "meeting"
    place.mkdir()
    handle = client.submit(workload.probe, str(place), site.cpus)
    view = handle.wait(60)
    if view["state"] != "finished":
        accounts.problems.append(
            f"the probe over all {site.cpus} slots ended {view['state']}: {view['error']}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.killer", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--folder", type=Path, help="kept, for looking into")
    given = parser.parse_args(arguments)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="headway-killer-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {given.seed}, {given.kills} kills, in {folder}", flush=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {time.monotonic() - began:7.2f} {text}", flush=True)

    try:
        accounts = kill_under_load(given.kills, given.seed, folder, say=say)
    except AssertionError as error:
        print(f"BROKEN: {error}", flush=True)
        print(
            json.dumps({"bench": "killer", "seed": given.seed, "ok": False, "problems": [str(error)]}),
            flush=True,
        )
        return 1
    for problem in accounts.problems:
        print(f"BROKEN: {problem}", flush=True)
    print(
        json.dumps(
            {
                "bench": "killer",
                **accounts.figures,
                "ok": not accounts.problems,
                "problems": accounts.problems,
            }
        ),
        flush=True,
    )
    if not accounts.problems and given.folder is None:
        shutil.rmtree(folder)
    return 1 if accounts.problems else 0


if __name__ == "__main__":
    sys.exit(main())
