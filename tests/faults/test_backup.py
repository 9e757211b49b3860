"""A backup from the middle of a run, restored elsewhere: nothing acknowledged before it is lost, and the run goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from .site import Site, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def finished(view: dict[str, Any]) -> int:
    return int(view["counts"].get("finished", 0))


def test_a_restored_folder_finishes_what_the_backup_held(
    site: Site, workload: Any, ledger: Path, tmp_path: Path
) -> None:
    site.up()
    with site.client() as client:
        done = client.submit(workload.fan, str(ledger), 20)
        first = done.result(timeout=60)
        handle = client.submit(workload.mixed, str(ledger), 60)
        wait_for(lambda: finished(client.run(handle.id)) > 10, "the middle of the run", 60)
        before = {
            view["id"]: view["attempt"] for view in client.tasks(handle.id, state="finished", limit=1000)
        }
        made = site.headway("backup", str(tmp_path / "b.tar.gz"))
        assert "the journal and" in made.stdout
        handle.wait(120)
    site.down()

    other = tmp_path / "elsewhere"
    other.mkdir()
    restored = Site(other)
    site.headway("backup", str(tmp_path / "b.tar.gz"), "--restore", "--to", str(restored.state))
    try:
        restored.up()
        with restored.client() as client:
            assert client.run(done.id)["state"] == "finished"
            assert client.get(done.id).result(timeout=30) == first
            view = client.get(handle.id).wait(120)
            assert view["state"] == "finished", restored.logs()
            after = {
                one["id"]: one["attempt"] for one in client.tasks(handle.id, state="finished", limit=1000)
            }
            assert before.items() <= after.items(), "what had finished was not run again"
        restored.down()
        restored.headway("replay")
    finally:
        restored.clear()


def test_a_backup_that_is_killed_leaves_the_service_alone_and_no_file_of_its_name(
    site: Site, workload: Any, ledger: Path, tmp_path: Path
) -> None:
    site.up()
    with site.client() as client:
        handle = client.submit(workload.fan, str(ledger), 50)
        for number in range(5):
            target = tmp_path / f"{number}.tar.gz"
            running = subprocess.Popen(
                [sys.executable, "-m", "headway", "backup", str(target)], env=site.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )  # fmt: skip
            time.sleep(0.1 * number)
            running.kill()
            running.wait(30)
        assert handle.wait(60)["state"] == "finished"
        for path in tmp_path.glob("*.tar.gz"):
            site.headway("backup", str(path), "--restore", "--to", str(tmp_path / f"from-{path.name}"))
        site.headway("backup", str(tmp_path / "whole.tar"))
    site.down()
