"""The killer in its short form: 30 kills, another seed with each commit."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .killer import kill_under_load

KILLS = 30


def seed_of_today() -> int:
    """From HEADWAY_SEED, else the commit: new with each commit, and still to be repeated."""
    if (text := os.environ.get("HEADWAY_SEED")) is not None:
        return int(text)
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return int(done.stdout.strip() or "1", 16) % 2**32


@pytest.mark.fault
@pytest.mark.timeout(400)
def test_thirty_kills_lose_nothing_and_record_nothing_twice(tmp_path: Path) -> None:
    seed = seed_of_today()
    story: list[str] = []
    print(f"seed {seed}: HEADWAY_SEED={seed} repeats it")
    accounts = kill_under_load(KILLS, seed, tmp_path, say=story.append)
    print("\n".join(story))
    print(json.dumps(accounts.figures))
    assert accounts.problems == [], f"seed {seed}"
    assert accounts.figures["kills"] >= KILLS
    assert accounts.figures["runs"] > 0
    assert (
        accounts.figures["lost"] == accounts.figures["recorded_twice"] == accounts.figures["unaccounted"] == 0
    )
