"""Writing workflows: three ways to run one, what is refused before anything runs, and how quick the quick way is."""

from __future__ import annotations

import asyncio
import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headway import AsyncClient, Client
from headway.client.packing import pack
from headway.client.submission import Submission
from headway.errors import Invalid

from .conftest import Home


def test_a_workflow_gives_the_same_in_place_inline_and_on_a_service(
    client: Client, flows: ModuleType
) -> None:
    assert flows.everything(5) == "25 words"
    assert flows.everything.run(5) == "25 words"
    assert client.submit(flows.everything, n=5).result(30) == "25 words"


def test_submit_of_a_workflow_finds_the_service(
    service: Home, flows: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_STATE", str(service.state))
    assert flows.trivial.submit().result(30) == 42


def test_the_asynchronous_client_does_the_same(service: Home, flows: ModuleType) -> None:
    async def together() -> list[object]:
        async with AsyncClient(service.state) as client:
            runs = await asyncio.gather(*(client.submit(flows.everything, n=n) for n in (1, 2)))
            return [await run.result(30) for run in runs]

    assert asyncio.run(together()) == ["1 words", "4 words"]


def test_each_item_of_a_map_flows_on_alone(client: Client, flows: ModuleType, tmp_path: Path) -> None:
    """Item 0 of the first step ends only when item 1 has passed the second: a barrier between them would hang."""
    assert client.submit(flows.flows_alone, folder=str(tmp_path)).result(30) == [0, 1]


def test_a_graph_is_drawn_and_nothing_has_run(service: Home, tmp_path: Path) -> None:
    done = service.headway("graph", "flows.py:touches", "--path", str(tmp_path / "ran"))
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "touches: 1 task")
    assert not (tmp_path / "ran").exists()
    assert service.headway("run", "flows.py:touches", "--path", str(tmp_path / "ran")).returncode == 0
    assert (tmp_path / "ran").exists()


REFUSED = {
    "flows.py:everything --n many": "parameter 'n' is 'many', expected int",
    "flows.py:everything --m 3": "has no parameter 'm'",
    "flows.py:raises": "raised while workflow 'raises' was traced: KeyError: 1",
    "flows.py:nothing": "there is no workflow 'nothing' in flows.py",
    "needs_module.py": "needs the module 'no_such_module', which is not installed",
    "wrong_option.py": "no option 'cpus'",
    "flows.py:impossible": "task 'huge' asks for cpu 100, memory 931 GiB: no node could ever hold it",
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_wrong_is_named_before_anything_runs(service: Home, client: Client, call: str) -> None:
    (service.folder / "needs_module.py").write_text("import no_such_module\n")
    (service.folder / "wrong_option.py").write_text("from headway import task\n@task(cpus=2)\ndef f(): ...\n")
    before = [run["id"] for run in client.runs()]
    done = service.headway("submit", *call.split())
    assert done.returncode in (2, 4), done.stderr
    assert REFUSED[call] in done.stderr
    assert done.stdout == ""
    assert [run["id"] for run in client.runs()] == before


def test_an_impossible_demand_is_told_what_the_largest_node_has(client: Client, flows: ModuleType) -> None:
    for run in (flows.impossible.run, lambda: client.submit(flows.impossible)):
        with pytest.raises(Invalid, match="the largest node, local") as caught:
            run()
        found = caught.value.fields
        assert (found["task"], found["resource"], found["asked"]) == ("huge", "cpu", 100_000)
        assert found["largest"] < 100_000


def test_a_cycle_is_refused_and_named(client: Client, flows: ModuleType) -> None:
    """Python cannot write one; JSON can."""
    submission = pack(flows.everything, (), {})
    body: dict[str, Any] = copy.deepcopy(submission.body)
    by_name = {spec["name"]: spec for spec in body["workflow"]["tasks"]}
    by_name["double"]["args"] = [{"output": "total"}]
    with pytest.raises(Invalid, match=r"in a circle: .*double -> "):
        client.submit_packed(Submission(body, submission.blobs))


def test_a_trivial_run_costs_little_beside_its_imports(home: Home) -> None:
    """From process start to the result, against the start of an interpreter that only imports what this needs."""

    def seconds(code: str, said: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=home.folder, env=home.environment(), capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip()) == (0, said), done.stderr
        return time.perf_counter() - began

    rounds = [
        (
            seconds("import flows; print(flows.trivial.run())", "42"),
            seconds("import flows, headway.api.inline; print('imported')", "imported"),
        )
        for _ in range(3)
    ]
    assert min(run / imports for run, imports in rounds) < 3


def test_the_last_line_of_a_json_run_is_the_run(home: Home) -> None:
    done = home.headway("run", "flows.py:everything", "--inline", "-o", "json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["state"], last["counts"], last["result"]) == ("finished", {"finished": 10}, "16 words")


def test_members_of_a_gang_know_their_rank_and_where_the_others_are(flows: ModuleType) -> None:
    assert flows.together.run() == [[[10, "0", "2", "local,local"], [20, "1", "2", "local,local"]], False]
