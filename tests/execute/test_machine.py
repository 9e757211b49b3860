"""What the machine has, which processes there are, and why one died."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headway.errors import Invalid
from headway.execute import death, machine, processes
from headway.settings import AUTO, NodeSettings


def test_a_node_is_this_machine_unless_somebody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADWAY_GPUS", raising=False)
    node = machine.this_machine()
    assert 0 < node.cpu <= len(os.sched_getaffinity(0)) * 1000
    assert 2**20 < node.memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert node.gpus == 0
    said = machine.this_machine(NodeSettings("n", 500, 1000, 3))
    assert (said.name, said.cpu, said.memory, said.gpus) == ("n", 500, 1000, 3)
    labelled = machine.this_machine(NodeSettings("n", labels="os=plan9,zone=a"))
    assert {"os": "plan9", "zone": "a", "arch": dict(node.labels)["arch"]} == dict(labelled.labels)
    monkeypatch.setenv("HEADWAY_GPUS", "2")
    assert machine.this_machine().gpus == 2
    monkeypatch.setenv("HEADWAY_GPUS", "two")
    with pytest.raises(Invalid, match="HEADWAY_GPUS"):
        machine.this_machine()


@pytest.mark.parametrize(
    ("files", "milli"),
    [
        ({"cpu.max": "50000 100000"}, 500),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "25000", "cpu/cpu.cfs_period_us": "100000"}, 250),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_control_groups_quota_counts(tmp_path: Path, files: dict[str, str], milli: int | None) -> None:
    write(tmp_path, files)
    assert machine.cpus(tmp_path) == (milli or len(os.sched_getaffinity(0)) * 1000)


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_control_groups_memory_counts(tmp_path: Path, name: str) -> None:
    whole = machine.memory_bytes(tmp_path)
    write(tmp_path, {name: "1000000"})
    assert machine.memory_bytes(tmp_path) == 1_000_000
    write(tmp_path, {name: "max" if name == "memory.max" else str(2**62)})
    assert machine.memory_bytes(tmp_path) == whole


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{text}\n")


def test_a_process_is_known_by_pid_and_birth() -> None:
    process = subprocess.Popen(["sleep", "60"])
    born = processes.birth(process.pid)
    assert processes.alive(process.pid, born)
    assert not processes.alive(process.pid, born + 1), "another process with the same number"
    process.kill()
    time.sleep(0.05)
    assert not processes.alive(process.pid, born), "a zombie is not alive"
    process.wait()
    assert processes.birth(process.pid) == 0


def test_a_tree_is_found_by_descent_and_by_its_mark() -> None:
    mark = {"HEADWAY_TASK": "r/tree", "HEADWAY_ATTEMPT": "7"}
    script = "sleep 60 & setsid sleep 61 & (setsid sleep 62 &) ; echo up; wait"
    process = subprocess.Popen(
        ["sh", "-c", script], env={**os.environ, **mark}, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()

    def found() -> set[int]:
        return set(processes.marked("HEADWAY_TASK=r/tree", "HEADWAY_ATTEMPT=7"))

    def sleepers() -> int:
        """A shell on its way to become one carries the mark too, so they are counted by what they run."""
        return sum(Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep") for pid in found())

    end = time.monotonic() + 5
    with contextlib.suppress(OSError):
        while sleepers() < 3 and time.monotonic() < end:
            time.sleep(0.01)
    while len(found()) != 4 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(found()) == 4
    assert process.pid in processes.descendants(os.getpid())
    assert set(processes.descendants(process.pid)) < found(), (
        "the one that lost its parent is found by its mark only"
    )
    assert processes.marked("HEADWAY_TASK=r/tree", "HEADWAY_ATTEMPT=8") == []
    processes.end(found, gently=0.2)
    assert not found()
    process.wait()
    process.stdout.close()


def test_who_ignores_sigterm_is_killed() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    born = processes.birth(process.pid)
    processes.end(lambda: [process.pid] if processes.alive(process.pid, born) else [], gently=0.1)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def died(code: str) -> death.Death:
    witness = death.Witness()
    process = subprocess.Popen([sys.executable, "-c", code])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return witness.testify(process)


def test_a_death_is_told_in_words() -> None:
    assert died("import os; os._exit(3)") == death.Death("exited with code 3")
    assert died("pass") == death.Death("exited with code 0", quiet=True)
    assert died("import os; os.kill(os.getpid(), 11)").cause == "was killed by SIGSEGV (segmentation fault)"
    assert died("import os; os.kill(os.getpid(), 9)").cause == "was killed by SIGKILL"
    assert "former executor" in death.Witness().testify(None).cause


def test_a_kill_for_memory_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    kill = "import os; os.kill(os.getpid(), 9)"
    counts = iter([4, 5])
    monkeypatch.setattr(death, "oom_kills", lambda: next(counts))
    assert "out of memory (the kernel counts" in died(kill).cause
    monkeypatch.setattr(death, "oom_kills", lambda: -1)
    monkeypatch.setattr(death, "memory_bytes", lambda: 2**20)
    assert "probably out of memory" in died(kill).cause


def test_disk_and_network_are_offered_where_somebody_says_so(tmp_path: Path) -> None:
    assert machine.this_machine(NodeSettings()).other == ()
    node = machine.this_machine(NodeSettings(disk=AUTO, network=10**9), tmp_path / "not" / "there")
    assert dict(node.other)["network"] == 10**9
    assert dict(node.other)["disk"] > 0
