"""What a person has paused or edited is so after a SIGKILL of everything, and goes on from its checkpoint when resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .site import Site, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]


def test_a_pause_that_stops_what_runs_outlives_everything(site: Site, workload: Any, ledger: Path) -> None:
    site.up()
    with site.client() as client:
        handle = client.submit(workload.steadies, str(ledger), 30)
        task = f"{handle.id}/steady"
        wait_for(lambda: (client.task(task)["progress"] or 0) > 100, "progress of the task", 60)
        assert site.headway("pause", handle.id, "--now", "--reason", "the disk is full").stdout.endswith(
            "paused\n"
        )
        wait_for(lambda: client.run(handle.id)["counts"].get("running", 0) == 0, "nothing to run", 60)
        site.headway("edit", f"{handle.id}/gather", "--priority", "4", "--weight", "2.5")
        site.kill_named("supervisor")
        wait_for(lambda: not site.processes(), "the end of all processes", 15)
        site.up()
        assert client.run(handle.id)["paused"]["reason"] == "the disk is full"
        assert "paused by owner: the disk is full" in site.headway("why", task).stdout
        assert [attempt["outcome"] for attempt in client.task(task)["attempts"]] == ["preempted"]
        site.headway("resume", handle.id)
        assert handle.wait(90)["state"] == "finished", (handle.view, site.logs())
        gathered = client.task(f"{handle.id}/gather")
        assert (gathered["priority"], gathered["weight"]) == (4, 2500)
        began = [int(said.split()[2]) for said in ledger.with_name("ledger.from").read_text().splitlines()]
        assert min(sorted(began)[2:]) > 0, f"a second attempt began at its start: {began}"


def test_bad_input_is_refused_in_words(site: Site, workload: Any, ledger: Path) -> None:
    site.up()
    with site.client() as client:
        handle = client.submit(workload.steadies, str(ledger), 600)
        run = handle.id
        cases = [
            (4, ("pause", "nobody"), "there is no run"),
            (4, ("pause", f"{run}/nobody"), "has no task"),
            (2, ("edit", run), "nothing to change"),
            (2, ("edit", run, "--weight", "-1"), "--weight"),
            (2, ("edit", run, "--weight", "nan"), "--weight"),
            (2, ("edit", run, "--deadline", "soon"), "--deadline"),
            (2, ("edit", run, "--priority", "x"), "--priority"),
            (2, ("edit", run, "--priority", "99999999999999999999"), "priority"),
            (2, ("runs", "--version", "xyz"), "version"),
        ]
        for code, arguments, said in cases:
            done = site.headway(*arguments, check=False)
            assert done.returncode == code, (arguments, done)
            assert said in done.stderr, (arguments, done)
            assert "Traceback" not in done.stderr, (arguments, done)
        before = client.run(run)
        site.headway("cancel", run)
        done = site.headway("pause", run, check=False)
        assert (done.returncode, before["paused"]) == (5, None), done
