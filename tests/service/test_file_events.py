"""Files as events: those that appear or change after the schedule, once each, and never half written."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from headway.core.runs.schedules import Schedules
from headway.errors import Unavailable
from headway.service.file_events import FileEvents

SUBMISSION: dict[str, Any] = {"workflow": {"name": "flow", "tasks": []}, "values": {}, "bundle": ""}


class Told:
    """Remembers what it was told; can refuse once."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self.refuse = False

    async def __call__(self, name: str, key: str, event: Any) -> None:
        if self.refuse:
            self.refuse = False
            raise Unavailable("not now")
        self.events.append((name, key, event))

    @property
    def names(self) -> list[str]:
        return [Path(event["path"]).name for _, _, event in self.events]


async def test_files_that_appear_and_change(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("was here before")
    _settle(tmp_path / "old.csv")
    schedules, told = Schedules(), Told()
    schedules.put("s", {"file": f"{tmp_path}/*.csv"}, SUBMISSION, "ann", time.time_ns() // 1000)
    files = FileEvents(lambda: schedules, told)
    _settle(tmp_path / "old.csv")

    async def look() -> list[str]:
        told.events.clear()
        await files.look(list(schedules))
        return told.names

    assert await look() == []
    (tmp_path / "new.csv").write_text("half")
    (tmp_path / "new.txt").write_text("not asked for")
    assert await look() == [], "it may still be written"
    (tmp_path / "new.csv").write_text("half and half")
    assert await look() == [], "it was"
    assert await look() == ["new.csv"]
    assert await look() == []
    (tmp_path / "new.csv").write_text("another")
    (tmp_path / "a.csv").write_text("first by name")
    assert await look() == []
    told.refuse = True
    assert await look() == [], "the planner could not take it: nothing is forgotten"
    assert await look() == ["a.csv", "new.csv"]
    assert told.events[1][2]["size"] == 7
    (tmp_path / "a.csv").unlink()
    assert await look() == []


async def test_a_restart_tells_the_same_keys(tmp_path: Path) -> None:
    schedules = Schedules()
    schedules.put("s", {"file": f"{tmp_path}/**/*.bin"}, SUBMISSION, "ann", time.time_ns() // 1000 - 10**6)
    (tmp_path / "deep" / "down").mkdir(parents=True)
    (tmp_path / "deep" / "down" / "x.bin").write_bytes(b"1")
    keys = []
    for _ in range(2):
        told = Told()
        files = FileEvents(lambda: schedules, told)
        for _ in range(3):
            await files.look(list(schedules))
        [(_, key, _)] = told.events
        keys.append(key)
    assert keys[0] == keys[1], "so the planner knows the event"


async def test_a_paused_schedule_and_a_folder_that_is_not_there(tmp_path: Path) -> None:
    schedules, told = Schedules(), Told()
    schedules.put("s", {"file": f"{tmp_path}/*"}, SUBMISSION, "ann", 0)
    schedules.put("gone", {"file": "/no/such/folder/*"}, SUBMISSION, "ann", 0)
    schedules.pause("s", "ben", "", 0)
    (tmp_path / "a").write_text("a")
    (tmp_path / "folder").mkdir()
    files = FileEvents(lambda: schedules, told)
    for _ in range(3):
        await files.look(list(schedules))
    assert told.events == []
    schedules.resume("s", 1)
    for _ in range(3):
        await files.look(list(schedules))
    assert told.names == ["a"], "a folder is no file"


def _settle(path: Path) -> None:
    """Until the clock of the file system is past the file's time."""
    while time.time_ns() // 1000 <= os.stat(path).st_ctime_ns // 1000 + 20_000:
        time.sleep(0.002)
