"""The HTTP API under schemathesis: nothing that a client can send makes the service fail, and every error is a problem document."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Home

pytest.importorskip("schemathesis", reason="the test extra is not installed")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,errors_are_problems"


@pytest.fixture
def api(home: Home, tmp_path: Path) -> Iterator[Home]:
    """A service of its own: the fuzz changes policies, quotas and windows."""
    own = dataclasses.replace(home, folder=tmp_path, state=tmp_path / "state")
    up = own.headway("up", "-d", "--cpus", "2")
    assert up.returncode == 0, up.stderr
    yield own
    assert own.headway("down").returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("allowed", [True, False], ids=["with its token", "with none"])
def test_no_request_makes_it_fail(api: Home, tmp_path: Path, allowed: bool) -> None:
    url = json.loads((api.state / "service.json").read_text())["url"]
    token = (api.state / "token").read_text().strip()
    document = tmp_path / "openapi.json"
    done = subprocess.run(
        [sys.executable, "-c", FETCH, f"{url}/v1/openapi.json", token, str(document)], check=True, timeout=30
    )
    assert done.returncode == 0
    header = ["-H", f"Authorization: Bearer {token}"] if allowed else []
    # The event stream never ends by itself: its own tests are in tests/service/test_events.py.
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", url, *header, "--checks", CHECKS,
            "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "1", "--request-timeout", "20",
            "--exclude-path-regex", "/events", "--generation-database", "none", "--no-color",
        ],
        capture_output=True, text=True, timeout=220, cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.e2e.fuzz_hooks", "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[:6000] + done.stderr[-2000:]
    assert api.headway("status").returncode == 0


FETCH = """
import sys, urllib.request
url, token, path = sys.argv[1:]
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
open(path, "wb").write(urllib.request.urlopen(request, timeout=20).read())
"""
