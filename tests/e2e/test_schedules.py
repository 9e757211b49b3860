"""Workflows that run by themselves, on a real service and by the real command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import paho.mqtt.client as paho
import pytest

from headway import Client
from headway.bus.port import parse_url
from headway.errors import NotFound

from .conftest import Home, until


@pytest.fixture
def tidy(client: Client) -> Iterator[Client]:
    yield client
    for view in client.schedules():
        client.remove_schedule(view["name"])


def test_a_schedule_runs_its_workflow_with_each_interval(tidy: Client, flows: ModuleType) -> None:
    tidy.schedule("beat", flows.interval, {"every": "1s"}, scale=2)
    view = until(lambda: tidy.get_schedule("beat")["fired"] >= 2 and tidy.get_schedule("beat"), "two runs")
    tidy.pause_schedule("beat", "seen enough")
    handle = tidy.get(view["last_run"])
    start, end, scale = handle.result(timeout=30)
    assert scale == 2
    assert (end[-6:], start < end) == ("+00:00", True)


def test_an_event_starts_a_run_once(tidy: Client, flows: ModuleType, service: Home) -> None:
    tidy.schedule("ingest", flows.ingest, {"http": True})
    first = tidy.send_event("ingest", {"path": "a.csv", "rows": [1, 2]}, key="a.csv")
    assert tidy.get(first["run"]).result(timeout=30) == {"path": "a.csv", "rows": [1, 2]}
    again = tidy.send_event("ingest", {"path": "a.csv", "rows": [1, 2]}, key="a.csv")
    assert again == {"run": first["run"], "repeated": True}
    typed = service.headway("event", "ingest", "[1, 2]", "--key", "b")
    assert (typed.returncode, typed.stdout) == (
        0,
        until(lambda: tidy.get_schedule("ingest")["last_run"], "it") + "\n",
    )


def test_a_file_that_appears_starts_a_run(tidy: Client, service: Home) -> None:
    folder = service.folder / "arrivals"
    folder.mkdir()
    made = service.headway("schedule", "files", "flows.py:ingest", "--file", "arrivals/*.csv")
    assert made.returncode == 0, made.stderr
    (folder / "new.csv").write_text("1,2\n")
    run = until(lambda: tidy.get_schedule("files")["last_run"], "the run of a file")
    assert tidy.get(run).result(timeout=30)["path"] == str(folder / "new.csv")


def test_a_message_starts_a_run(tidy: Client, flows: ModuleType, service: Home) -> None:
    """By a program of its own, with the URL that the service wrote down for such programs, and MQTT's own client library."""
    tidy.schedule("heard", flows.ingest, {"mqtt": "lab/+/done"})
    address, credential = parse_url((service.state / "events").read_text().strip())
    other = paho.Client(paho.CallbackAPIVersion.VERSION2)
    other.username_pw_set(credential.user, credential.password)
    other.connect(address.host, address.port)
    other.loop_start()
    body = json.dumps({"id": "job-7", "size": 3})
    try:
        # The service connects when the first schedule waits for messages; until then nobody hears.
        def said() -> str:
            other.publish("headway/local/events/lab/7/done", body, qos=1).wait_for_publish(10)
            other.publish("headway/local/events/lab/7/other", body, qos=1).wait_for_publish(10)
            return str(tidy.get_schedule("heard")["last_run"])

        run = until(said, "the run of a message")
        for _ in range(3):
            said()
    finally:
        other.disconnect()
        other.loop_stop()
    assert tidy.get(run).result(timeout=30) == {"topic": "lab/7/done", "payload": {"id": "job-7", "size": 3}}
    assert tidy.get_schedule("heard")["fired"] == 1, "the same id is the same event"


def test_a_backfill_from_the_command_line_runs_each_interval_once(tidy: Client, service: Home) -> None:
    made = service.headway(
        "schedule", "daily", "flows.py:interval", "--cron", "0 6 * * *", "--zone", "Asia/Tokyo"
    )
    assert made.returncode == 0, made.stderr
    assert "T06:00:00+09:00" in made.stdout
    first = service.headway("backfill", "daily", "--from", "4d ago", "--parallel", "2")
    assert (first.returncode, first.stderr) == (0, "4 intervals to run, 0 have run before\n")
    until(lambda: tidy.get_schedule("daily")["backfill"] is None, "the end of the backfill")
    again = service.headway("backfill", "daily", "--from", "4d ago")
    assert again.stderr == "0 intervals to run, 4 have run before\n"
    runs = [view for view in tidy.runs() if view["id"].startswith("daily-")]
    assert [view["state"] for view in runs] == ["finished"] * 4


def test_what_the_command_line_shows_and_refuses(tidy: Client, service: Home) -> None:
    def said(*words: str) -> tuple[int, str]:
        done = service.headway(*words)
        return done.returncode, done.stderr or done.stdout

    assert said("schedules") == (0, "nothing runs by itself: headway schedule NAME FILE --cron ...\n")
    assert said("schedule", "d", "flows.py:interval", "--every", "1h")[0] == 0
    code, text = said("schedules", "pause", "d", "--reason", "the source moves")
    assert "by owner: the source moves" in text
    [listed] = json.loads(service.headway("schedules", "-o", "json").stdout)
    assert listed["paused"]["reason"] == "the source moves"
    assert said("schedules", "d", "--next", "2")[0] == 0
    assert said("schedules", "resume", "d")[0] == 0
    assert said("schedules", "remove", "d")[0] == 0
    for words, part in (
        (("schedule", "d", "flows.py:interval"), "none of them"),
        (("schedule", "d", "flows.py:interval", "--cron", "0 0 30 2 *"), "never fires"),
        (
            ("schedule", "d", "flows.py:interval", "--cron", "* * * * *", "--zone", "Mars/Base"),
            "no time zone",
        ),
        (("schedule", "d", "flows.py:interval", "--every", "soon"), "soon"),
        (("schedule", "d", "flows.py:interval", "--every", "1h", "--overlap", "perhaps"), "none of allow"),
        (("schedule", "d", "flows.py:interval", "--every", "1h", "--scale", "x"), "scale"),
        (("schedule", "d/e", "flows.py:interval", "--every", "1h"), "cannot be the name"),
        (("schedules", "what", "d"), "no question and no change"),
        (("schedules", "nope"), "no schedule 'nope'"),
        (("backfill", "nope", "--from", "1d ago"), "no schedule 'nope'"),
        (("backfill", "nope"), "from when on?"),
        (("event", "nope", "{"), "is not JSON"),
    ):
        code, text = said(*words)
        assert code != 0, words
        assert part in text, (words, text)
        assert "Traceback" not in text
    with pytest.raises(NotFound):
        tidy.get_schedule("d")


def test_a_parameter_of_the_run_can_only_be_passed_on(flows: ModuleType) -> None:
    from headway.client.packing import pack_schedule
    from headway.errors import Invalid

    def refused(workflow: Any) -> str:
        with pytest.raises(Invalid) as caught:
            pack_schedule(workflow, {"http": True}, {})
        return str(caught.value.message)

    assert "event is used as text, but each run of the schedule has its own" in refused(flows.formats_event)
    assert "whose length is not known before the run" in refused(flows.maps_event)
