"""The broker is away for a while: what runs goes on, nothing is run again, nothing is lost.

HEADWAY_FAULTS_GONE=60 makes it a minute.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from .site import Site, wait_for

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

#: Longer than the lease of a presence and the grace after it together, so that giving up a node would show.
GONE = float(os.environ.get("HEADWAY_FAULTS_GONE", "18"))


@pytest.mark.parametrize("how", ["frozen", "dead"])
def test_a_broker_that_is_gone_costs_no_attempt(site: Site, workload: Any, ledger: Path, how: str) -> None:
    site.up()
    with site.client(patience=GONE + 60) as client:
        handle = client.submit(workload.steadies, str(ledger), int(GONE * 10) + 60)
        task = f"{handle.id}/steady"
        wait_for(lambda: (client.task(task)["progress"] or 0) > 0, "progress of the task", 60)
        broker, supervisor = site.pid("broker"), site.pid("supervisor")
        assert broker is not None
        assert supervisor is not None
        if how == "frozen":
            os.kill(broker, signal.SIGSTOP)
        else:  # nobody starts another one meanwhile
            os.kill(supervisor, signal.SIGSTOP)
            site.kill(broker)
        during = client.submit(workload.chain, str(ledger), 3)  # it is kept, and waits
        time.sleep(GONE)
        assert client.run(during.id)["state"] == "running"
        os.kill(broker if how == "frozen" else supervisor, signal.SIGCONT)
        assert during.wait(90)["state"] == "finished", site.logs()
        assert handle.wait(120)["state"] == "finished", site.logs()
        for view in (*handle.tasks(), *during.tasks()):
            attempts = client.task(view["id"])["attempts"]
            assert [(a["attempt"], a["outcome"]) for a in attempts] == [(1, "finished")], site.logs()
        said = ledger.read_text().splitlines()
        assert len(said) == len(set(said)) == len(handle.tasks()) + len(during.tasks())
