"""Leases, members, inputs and recalls, with real workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headway.bus.messages import DemandModel, GrantRow, LeaseBody, RefModel, VariantModel
from headway.domain.resources import Node

from .conftest import Bench, Tree, call, literal, prepare


async def test_a_task_runs_and_its_result_comes_back(bench: Bench) -> None:
    bench.grant("add", call("add", 1, kwargs={"y": 2}))
    row = await bench.end("add")
    assert row.what == "finished"
    took, ref = row.value
    assert ref["data"] == 3
    assert 0 <= took < 5_000_000


async def test_an_async_function_is_awaited(bench: Bench) -> None:
    bench.grant("doubled", call("doubled", 21))
    assert await bench.result("doubled") == 42


async def test_a_quick_task_is_reported_once_and_a_slow_one_also_as_started(bench: Bench) -> None:
    bench.grant("noop", call("noop"))
    await bench.end("noop")  # the first loads the function, which takes longer
    bench.grant("quick", call("noop"))
    await bench.end("quick")
    bench.grant("slow", call("sleep", 0.1))
    await bench.end("slow")
    assert [row.what for row in bench.of("slow")] == ["started", "finished"]
    started, finished = bench.of("slow")
    assert abs(finished.at - finished.value[0] - started.at) < 20_000
    assert isinstance(started.value, int)


async def test_members_of_a_lease_run_one_after_the_other_in_one_worker(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "order"
    lease = bench.lease()
    what = call("append", list(range(20)), str(path), mapped=1)
    for number in range(20):
        bench.grant(f"a[{number}]", what, lease=lease, item=number)
    await bench.end("a[19]")
    assert path.read_text().split() == [str(number) for number in range(20)]


async def test_leases_run_side_by_side(bench: Bench) -> None:
    for number in range(3):
        bench.grant(f"s[{number}]", call("sleep", 0.5))
    await bench.until(lambda: sum(row.what == "started" for row in bench.rows) == 3)
    assert not [row for row in bench.rows if row.what == "finished"], "they waited for one another"
    for number in range(3):
        await bench.end(f"s[{number}]")


async def test_an_input_of_null_is_the_result_of_an_earlier_member(bench: Bench) -> None:
    lease = bench.lease()
    first = call("add", 1, kwargs={"y": 1})
    later = call("add", Tree({"output": "a"}), kwargs={"y": 40}, name="b")
    rows = [
        GrantRow("r/a", 1, lease, 0, "r/a", None, {}, []),
        GrantRow("r/b", 1, lease, 1, "r/b", None, {"a": None}, []),
    ]
    bench.say(calls={"r/a": first, "r/b": later}, grants=rows)
    assert await bench.result("b") == 42


async def test_a_lease_extended_after_it_ran_dry_still_knows_its_results(bench: Bench) -> None:
    lease = bench.lease()
    bench.grant("a", call("add", 1, kwargs={"y": 1}), lease=lease)
    await bench.end("a")
    bench.grant("b", call("add", Tree({"output": "a"}), kwargs={"y": 40}), lease=lease, inputs={"a": None})
    assert await bench.result("b") == 42


async def test_runs_that_share_a_lease_do_not_get_each_others_results(bench: Bench) -> None:
    """Short tasks of one shape ride together, whoever submitted them, and runs of one workflow use the same names."""
    lease = bench.lease()
    calls = {f"{run}/{name}": what for run in ("r", "s") for name, what in (
        ("a", call("add", 1 if run == "r" else 100, kwargs={"y": 1})),
        ("b", call("add", Tree({"output": "a"}), kwargs={"y": 40})),
    )}  # fmt: skip
    order = ("r/a", "s/a", "r/b", "s/b")
    grants = [
        GrantRow(task, 1, lease, n, task, None, {"a": None} if task.endswith("b") else {}, [])
        for n, task in enumerate(order)
    ]
    bench.say(calls=calls, grants=grants)
    assert await bench.result("b") == 42
    await bench.until(lambda: any(row.task == "s/b" and row.what == "finished" for row in bench.rows))
    (row,) = [row for row in bench.rows if row.task == "s/b" and row.what == "finished"]
    assert bench.value(row.value[1]) == 141


async def test_who_waits_for_a_failed_member_comes_back_unstarted(bench: Bench, tmp_path: Path) -> None:
    lease = bench.lease()
    rows = [
        GrantRow("r/a", 1, lease, 0, "r/a", None, {}, []),
        GrantRow("r/b", 1, lease, 1, "r/b", None, {"a": None}, []),
        GrantRow("r/c", 1, lease, 2, "r/c", None, {}, []),
    ]
    calls = {
        "r/a": call("fail"),
        "r/b": call("append", Tree({"output": "a"}), str(tmp_path / "b")),
        "r/c": call("noop"),
    }
    bench.say(calls=calls, grants=rows)
    assert (await bench.end("a")).what == "failed"
    assert (await bench.end("b")).what == "returned"
    assert (await bench.end("c")).what == "finished", "the rest of the lease goes on"
    assert not (tmp_path / "b").exists()
    bench.grant("d", call("add", Tree({"output": "a"})), lease=lease, inputs={"a": None})
    assert (await bench.end("d")).what == "returned"


async def test_arguments_as_trees(bench: Bench) -> None:
    tree, values = literal([1, 2, 3])
    named = {
        "listed": {"list": [tree, {"output": "p", "path": ["a", 1]}]},
        "tupled": {"tuple": [{"output": "p", "path": ["b", 0]}]},
        "mapped": {"dict": {"x": {"output": "q"}}},
    }
    what = call("describe", name="d").model_copy(update={"kwargs": named, "values": values})
    inputs = {"p": {"data": {"a": [10, 20], "b": [1, 2]}}, "q[0]": {"data": "x"}, "q[1]": {"data": "y"}}
    bench.grant("d", what, inputs=inputs)
    assert await bench.result("d") == {
        "listed": "[[1, 2, 3], 20]",
        "tupled": "(1,)",
        "mapped": "{'x': ['x', 'y']}",
    }


async def test_items_of_a_map(bench: Bench) -> None:
    what = call("add", [10, 20, 30], kwargs={"y": 1}, mapped=1)
    for item in range(3):
        bench.grant(f"m[{item}]", what, item=item)
    assert [await bench.result(f"m[{item}]") for item in range(3)] == [11, 21, 31]
    over_output = call("add", Tree({"output": "three"}), mapped=1)
    bench.grant("o[2]", over_output, item=2, inputs={"three": {"data": [7, 8, 9]}})
    assert await bench.result("o[2]") == 9
    over_map = call("add", Tree({"output": "m"}), mapped=1)
    bench.grant("n[1]", over_map, item=1, inputs={"m[1]": {"data": 21}})
    assert await bench.result("n[1]") == 21


async def test_inputs_too_many_for_a_message_come_as_a_blob(bench: Bench) -> None:
    from headway.store.blobs import Blobs

    names = b'{"f[0]":{"data":1},"f[1]":{"data":2},"f[2]":{"data":3}}'
    sha = Blobs(bench.state / "blobs").put(names)
    what = call("total", Tree({"output": "f"}))
    bench.grant("t", what, inputs={"*": {"kind": "blob", "data": sha, "size": len(names)}})
    assert await bench.result("t") == 6


async def test_a_task_that_changes_its_argument_changes_no_other_tasks(bench: Bench) -> None:
    what = call("mutate", [1, 2])
    lease = bench.lease()
    for item in range(3):
        bench.grant(f"m[{item}]", what, lease=lease)
    assert [await bench.result(f"m[{item}]") for item in range(3)] == [3, 3, 3]


async def test_a_large_result_is_a_file_by_its_content(bench: Bench) -> None:
    bench.grant("large", call("large", 100_000))
    row = await bench.end("large")
    ref = row.value[1]
    assert ref["kind"] == "blob"
    assert (bench.state / "blobs" / ref["data"][:2] / ref["data"][2:]).stat().st_size >= 100_000
    assert bench.value(ref) == bytes(100_000)
    bench.grant("length", call("length", Tree({"output": "large"})), inputs={"large": ref})
    assert await bench.result("length") == 100_000


async def test_recall_returns_what_has_not_begun_and_only_that(bench: Bench, tmp_path: Path) -> None:
    lease = bench.lease()
    bench.grant("noop", call("noop"))
    await bench.end("noop")
    bench.grant("s[0]", call("sleep", 0.4), lease=lease)
    ahead = call("append", "x", str(tmp_path / "ran"))
    members = [bench.grant(f"m[{number}]", ahead, lease=lease) for number in range(300)]
    await bench.until(lambda: bench.of("s[0]"))
    bench.say(recalls=[(lease, [("r/s[0]", 1), *members[10:]])])
    for number in range(10, 300):
        assert (await bench.end(f"m[{number}]")).what == "returned"
    assert not any(row.what == "finished" for row in bench.rows if row.task == "r/s[0]"), (
        "came back before it ended"
    )
    assert (await bench.end("s[0]")).what == "finished"
    for number in range(10):
        assert (await bench.end(f"m[{number}]")).what == "finished"
    assert (tmp_path / "ran").read_text().count("x") == 10


async def test_a_grant_that_comes_twice_runs_once(bench: Bench, tmp_path: Path) -> None:
    what = call("touch_and_sleep", str(tmp_path / "f"), 0.1)
    lease = bench.lease()
    for _ in range(3):
        bench.grant("once", what, lease=lease)
    await bench.end("once")
    await asyncio.sleep(0.2)
    assert (tmp_path / "f").read_text() == "ran\n"
    assert len([row for row in bench.rows if row.what == "finished"]) == 1


async def test_a_missing_bundle_fails_the_task_and_names_it(bench: Bench) -> None:
    bench.grant("lost", call("noop", bundle="cd" * 32))
    row = await bench.end("lost")
    assert row.what == "failed"
    assert "cdcd" in row.value[1]["message"]


async def test_a_missing_function_fails_the_task_and_names_it(bench: Bench) -> None:
    bench.grant("odd", call("no_such_function"))
    row = await bench.end("odd")
    assert row.what == "failed"
    assert "no_such_function" in row.value[1]["message"]


async def test_a_bundle_is_unpacked_from_its_blob(bench: Bench) -> None:
    import io
    import zipfile

    from headway.store.blobs import Blobs

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("user_code.py", "def noop(*_):\n    return 'from the blob'\n")
    sha = Blobs(bench.state / "blobs").put(packed.getvalue())
    bench.grant("b", call("noop", bundle=sha))
    assert await bench.result("b") == "from the blob"
    bench.grant("c", call("noop"))
    assert await bench.result("c") is None, "the modules of two bundles met in one worker"
    assert not [path for path in (bench.state / "bundles").iterdir() if path.name.startswith(".")]


async def test_a_bad_selection_fails_the_task_with_what_was_there(bench: Bench) -> None:
    bench.grant("sel", call("noop", Tree({"output": "p", "path": ["z"]})), inputs={"p": {"data": {"a": 1}}})
    row = await bench.end("sel")
    assert row.what == "failed"
    assert "'z'" in row.value[1]["message"]
    assert "{'a': 1}" in row.value[1]["message"]


async def test_idle_workers_are_kept_warm_and_bounded(bench: Bench) -> None:
    for number in range(5):
        bench.grant(f"s[{number}]", call("sleep", 0.2))
    for number in range(5):
        await bench.end(f"s[{number}]")
    workers = bench.executor._crew.workers
    await bench.until(lambda: len(workers) <= 3)  # two cores, one spare
    bench.grant("p", call("pid"))
    assert await bench.result("p") in {worker.pid for worker in workers.values()}


async def test_the_environment_says_who_the_task_is(bench: Bench) -> None:
    bench.grant("environment", call("environment", cpu=3000), attempt=4)
    found = await bench.result("environment", 4)
    assert found == {
        "HEADWAY_TASK": "r/environment", "HEADWAY_ATTEMPT": "4", "HEADWAY_RUN": "r",
        "CUDA_VISIBLE_DEVICES": None, "OMP_NUM_THREADS": "3", "HEADWAY_VARIANT": None,
    }  # fmt: skip


async def test_the_environment_says_which_variant_the_task_runs_as(bench: Bench) -> None:
    ways = [VariantModel(demand=DemandModel(gpu=1000)), VariantModel(demand=DemandModel(cpu=4000))]
    bench.grant("environment", call("environment").model_copy(update={"variants": ways}), variant=1)
    found = await bench.result("environment")
    assert (found["HEADWAY_VARIANT"], found["OMP_NUM_THREADS"]) == ("1", "4")
    bench.grant("other", call("environment"))
    found = await bench.result("other")
    assert (found["HEADWAY_VARIANT"], found["OMP_NUM_THREADS"]) == (None, "1")


async def test_a_task_sees_the_devices_it_was_granted_and_no_others(tmp_path: Path) -> None:
    bench = Bench(prepare(tmp_path / "state"), node=Node("n1", 2000, gpus=4))
    await bench.executor.start()
    try:
        bench.grant("a", call("environment"), devices=(1, 3))
        bench.grant("b", call("environment"))
        assert (await bench.result("a"))["CUDA_VISIBLE_DEVICES"] == "1,3"
        assert (await bench.result("b"))["CUDA_VISIBLE_DEVICES"] == ""
        bench.grant("c", call("environment"), devices=(3,))
        assert (await bench.result("c"))["CUDA_VISIBLE_DEVICES"] == "3"
    finally:
        await bench.executor.stop(0.0)


async def test_stop_returns_what_has_not_begun_and_ends_what_runs(state: Path) -> None:
    bench = Bench(state)
    await bench.executor.start()
    lease = bench.lease()
    bench.grant("s", call("sleep", 60), lease=lease)
    bench.grant("n", call("noop"), lease=lease)
    await bench.until(lambda: bench.of("s"))
    await bench.executor.stop(0.2)
    assert (await bench.end("s")).what == "preempted"
    assert (await bench.end("n")).what == "returned"
    assert bench.executor.holds() == []


async def test_holds_lists_what_is_here_until_it_is_confirmed(state: Path) -> None:
    bench = Bench(state, confirmed_later=True)
    await bench.executor.start()
    try:
        held = bench.grant("add", call("add", 1))
        assert bench.executor.holds() == [held]
        await bench.end("add")
        assert bench.executor.holds() == [held]
        bench.executor.confirm(len(bench.reports))
        assert bench.executor.holds() == []
    finally:
        await bench.executor.stop(0.0)


def test_the_body_of_a_lease_travels_as_json() -> None:
    row = GrantRow("r/a", 1, 1, 0, "r/a", None, {"x": None}, [0])
    body = LeaseBody(calls={"r/a": call("add", 1)}, grants=[row])
    assert LeaseBody.model_validate_json(body.model_dump_json()) == body
    assert RefModel() == RefModel(kind="json", data=None)


if __name__ == "__main__":
    pytest.main([__file__])
