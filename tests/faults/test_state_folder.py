"""The state folder is full, cannot be written, or has a service already."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from headway.client import Client
from headway.errors import HeadwayError

from .site import Site, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

MEBIBYTE = 1 << 20


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """The state folder on a file system of its own that is soon full."""
    site.state.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "headway-faults", str(site.state)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount the small file system that this test fills")
    yield site.state
    site.clear()
    subprocess.run(["umount", "--lazy", str(site.state)], check=True)


def fill(folder: Path) -> list[Path]:
    """Take all the room there is, to the last byte; returns what to delete for some."""
    taken = []
    for size in (MEBIBYTE, 4096, 512):
        path = folder / f"ballast-{size}"
        taken.append(path)
        with path.open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(size)):
                pass
    return taken


def test_a_full_disk_refuses_what_is_new_and_loses_nothing(
    site: Site, small_disk: Path, workload: Any, ledger: Path
) -> None:
    site.up()
    with site.client() as client:
        before = client.submit(workload.chain, str(ledger), 3)
        assert before.wait(60)["state"] == "finished"
        running = client.submit(workload.steadies, str(ledger), 40)
        wait_for(lambda: client.task(f"{running.id}/steady")["state"] == "running", "a task that runs", 60)
        pid = site.pid("service")
        ballast = fill(small_disk)

        refused = wait_for(lambda: _refused(client, workload, ledger), "a refusal", 30)
        assert refused.status == 507, refused
        assert "full" in refused.message, refused.message
        assert "space" in refused.hint, refused.hint
        assert client.run(before.id)["state"] == "finished", "reading does not need the disk"
        assert client.run(running.id)["state"] == "running"

        for path in ballast:
            path.unlink()
        assert running.wait(90)["state"] in ("finished", "failed"), site.logs()
        after = client.submit(workload.chain, str(ledger), 3)
        assert after.wait(60)["state"] == "finished"
        assert site.pid("service") == pid, "the service did not live through it"
        # A checkpoint may have met the full disk: that attempt failed by it, in words, and another one followed.
        for task in running.tasks():
            outcomes = [attempt["outcome"] for attempt in client.task(task["id"])["attempts"]]
            assert task["state"] == "finished", client.task(task["id"])
            assert set(outcomes) <= {"finished", "failed"}, outcomes


def _refused(client: Client, workload: Any, ledger: Path) -> HeadwayError | None:
    try:
        client.submit(workload.fan, str(ledger), 12)
    except HeadwayError as error:
        return error
    return None


def test_what_was_acknowledged_survives_a_kill_on_a_full_disk(
    site: Site, small_disk: Path, workload: Any, ledger: Path
) -> None:
    site.up()
    with site.client(patience=120) as client:
        handles = [client.submit(workload.steadies, str(ledger), 20) for _ in range(4)]
        ballast = fill(small_disk)
        wait_for(lambda: _refused(client, workload, ledger), "a refusal", 30)
        former = site.kill_named("service")
        for path in ballast:
            path.unlink()
        site.next_pid("service", former)
        assert [handle.wait(90)["state"] for handle in handles] == ["finished"] * 4, site.logs()


def test_a_folder_that_cannot_be_written_is_refused_in_words(site: Site) -> None:
    site.state.mkdir()
    if os.geteuid() == 0:  # who may write everywhere, unless the file system says no
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m,ro", "headway-faults", str(site.state)]
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("root may write everywhere here, and may not mount a read-only file system")
    else:
        site.state.chmod(0o500)
    try:
        for command in (("up", "-d"), ("up",)):
            done = site.headway(*command, check=False, timeout=60)
            assert done.returncode != 0
            assert f"the state folder {site.state} cannot be used" in done.stderr, done.stderr
            assert "--state-dir" in done.stderr, "the next step is missing"
            assert "Traceback" not in done.stderr
            assert not site.processes()
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "--lazy", str(site.state)], check=True)
        else:
            site.state.chmod(0o700)


def test_a_second_service_is_refused_with_the_address_of_the_first(site: Site) -> None:
    site.up()
    first = json.loads((site.state / "service.json").read_text())
    before = sorted(site.processes())
    for command in (("up", "-d"), ("up",)):
        done = site.headway(*command, check=False, timeout=60)
        assert done.returncode != 0
        assert first["url"] in done.stderr, done.stderr
        assert str(first["pid"]) in done.stderr, done.stderr
        assert "headway down" in done.stderr, "the next step is missing"
    assert sorted(set(site.processes()) & set(before)) == before, "the first one was hurt"
    with site.client() as client:
        assert client.ready()
