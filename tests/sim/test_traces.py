"""Where tasks come from: every format reads what it should and says where a file is wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from headway.core.events import AttemptCheckpointed, AttemptEnded, Event, NodeJoined, Outcome, TaskOffered
from headway.domain.beside import Beside
from headway.domain.resources import Demand
from headway.domain.results import Ref
from headway.domain.units import SECOND
from headway.domain.workflow import Output, TaskSpec, Value, Workflow
from headway.errors import HeadwayError, Invalid, NotFound
from headway.sim.cluster import Cluster, read_cluster
from headway.sim.simulate import simulate
from headway.sim.trace import Trace, merged
from headway.sim.traces import guess, journal, read_trace
from headway.sim.traces import workflow as workflows
from tests.builders import node, task
from tests.sim.builders import job, trace

File = Callable[[str, str], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


# ── swf ─────────────────────────────────────────────────────────────────────────────────────────────────────

SWF = """; Version: 2.2
; a comment
7 100 -1 50 4 -1 -1 2 90 -1 1 3 1 5 -1 -1 -1 -1
8 90 -1 10 -1 -1 -1 8 -1 -1 1 -1 -1 -1 -1 -1 -1 -1
9 200 -1 0 1 -1 -1 1 10 -1 5 3 1 5 -1 -1 -1 -1
"""


@pytest.mark.parametrize("name", ["log.swf", "log.swf.gz"])
def test_a_batch_log(file: File, name: str) -> None:
    found = read_trace(file(name, SWF))
    second, first = found.jobs[1], found.jobs[0]
    assert (found.name, found.left_out) == ("log", (("no run time", 1),))
    assert (first.task.id, first.task.demand.cpu, first.task.estimate) == ("8", 8_000, 10 * SECOND)
    assert (second.task.demand.cpu, second.duration, second.task.estimate) == (
        4_000,
        50 * SECOND,
        90 * SECOND,
    )
    assert (second.task.release, second.task.tenant, second.task.kind) == (
        100 * SECOND,
        "user-3",
        "program-5",
    )


def test_a_line_that_is_no_job_is_named(file: File) -> None:
    with pytest.raises(Invalid, match=r"line 2: could not convert string to float: 'many'"):
        read_trace(file("log.swf", "1 0 -1 5 1 -1 -1 1 5\n2 0 -1 many 1 -1 -1 1 5\n"))
    with pytest.raises(Invalid, match="3 fields, 18 are due"):
        read_trace(file("log.swf", "1 0 -1\n"))


def test_a_task_of_a_table_says_where(file) -> None:
    text = "id,arrival,duration,where\na,0,1,zone == a\nb,0,1,\n"
    assert [job.task.where for job in read_trace(file("t.csv", text)).jobs] == [("zone == a",), ()]
    nodes = read_cluster(file("n.toml", '[[node]]\ncpu = 1\nlabels = {zone = "b"}\n'))
    assert not nodes.holds(Demand(1000), ("zone == a",))
    assert nodes.holds(Demand(1000), ("zone == b",))
    with pytest.raises(Invalid, match=r"t2\.csv, row 1: where='zone'"):
        read_trace(file("t2.csv", text.replace("zone == a", "zone")))


def test_rows_of_a_table_keep_apart(file) -> None:
    text = (
        "id,arrival,duration,group,near,apart,spread\n"
        "r/s1,0,1,s,,s within rack,\nr/s2,0,1,s,,s within rack; k within zone,\n"
        "r/s3,0,1,s,,s within rack,\nr/x,0,1,,s,,\nr/y,0,1,,,,rack by 2\n"
    )
    jobs = read_trace(file("b.csv", text)).jobs
    assert [job.task.beside for job in jobs] == [
        Beside("s", apart=("s within rack",)),
        Beside("s", apart=("k within zone", "s within rack")),
        Beside("s", apart=("s within rack",)),
        Beside("task", near=("s within node",)),
        Beside("task", spread=("rack by 2",)),
    ]
    rack = '[[node]]\nname = "{0}"\ncpu = 8\nlabels = {{rack = "{0}"}}\n'
    cluster = read_cluster(
        file("n.toml", '[topology]\nlevels = ["rack", "node"]\n' + rack.format("a") + rack.format("b"))
    )
    result = simulate(read_trace(file("c.csv", text)), cluster, "fcfs")
    begun = {record.job.task.id[2:]: record.started // SECOND for record in result.records}
    assert begun == {"s1": 0, "s2": 0, "s3": 1, "x": 0, "y": 0}  # of three servers two racks hold two at once
    with pytest.raises(Invalid, match=r"d\.csv, row 1: apart='s on rack' means nothing"):
        read_trace(file("d.csv", text.replace("s within rack", "s on rack")))


def test_a_table_and_a_cluster_say_how_much_memory_devices_have(file) -> None:
    text = "id,arrival,duration,gpu,gpu_memory\na,0,1,0.1,30GiB\nb,0,1,0.1,30GiB\nc,0,1,1,90GiB\n"
    cluster = read_cluster(file("n.toml", '[[node]]\ncpu = 8\ngpu = 1\ngpu_memory = "40GiB"\n'))
    result = simulate(read_trace(file("m.csv", text)), cluster, "fcfs")
    assert [record.started // SECOND for record in result.records] == [0, 1, -1]


def test_a_row_of_a_table_has_variants(file) -> None:
    text = (
        "id,arrival,duration,memory,estimate,variants\nx,0,1,1MiB,5s,gpu=1 | cpu=16 duration=2h\ny,0,1,,,\n"
    )
    job, plain = read_trace(file("v.csv", text)).jobs
    assert (job.duration, job.durations) == (1_000_000, (1_000_000, 7_200_000_000))
    assert [v.estimate for v in job.task.variants] == [5_000_000, 7_200_000_000]
    assert [v.demand for v in job.task.variants] == [Demand(1000, 2**20, 1000), Demand(16_000, 2**20)]
    assert plain.task.variants == plain.durations == ()
    for wrong, why in (("gpu", "not name=amount"), ("gpu=1", "1 variants"), ("id=1|gpu=1", "its own id")):
        with pytest.raises(Invalid, match=why):
            read_trace(file("w.csv", text.replace("gpu=1 | cpu=16 duration=2h", wrong)))


# ── csv ─────────────────────────────────────────────────────────────────────────────────────────────────────

CSV = """# what we ran
id, arrival, duration, estimate, cpu, memory, gpu, tenant, weight, priority, deadline, dependencies, license
a/load, 0, 1min, , 2, 4GiB, , blue, , , , ,
a/train, 10s, 1h30m, 1h, 4, , 0.5, blue, 2.5, 3, 3h, a/load, 1
a/eval, 10s, 5, ?, , , , , , , , a/load;a/train,
"""


def test_our_own_table(file: File) -> None:
    load, train, evaluate = read_trace(file("tasks.csv", CSV)).jobs
    assert (load.duration, load.task.estimate, load.task.demand) == (
        60 * SECOND,
        60 * SECOND,
        Demand(2_000, 4 << 30),
    )
    assert train.task.demand == Demand(4_000, 0, 500, (("license", 1_000),))
    assert (train.task.weight, train.task.priority, train.task.deadline) == (2_500, 3, 3 * 3600 * SECOND)
    assert (train.duration, train.task.estimate) == (5_400 * SECOND, 3_600 * SECOND)
    assert (evaluate.task.after, evaluate.task.estimate, evaluate.task.tenant) == (
        ("a/load", "a/train"), None, "default",
    )  # fmt: skip


HEAD = "id,arrival,duration,cpu,priority,dependencies\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,arrival\na,0\n", "row 1: no duration"),
        (HEAD + "a,0,5,1,high,\n", "row 1: priority='high' is not a whole number"),
        (HEAD + "a,0,5,-1,,\n", "row 1: cpu='-1' must be zero or more"),
        (HEAD + "a,0,soon,1,,\n", "row 1: duration='soon' is not a length of time"),
        (HEAD + "a,0,5,1,,\na,1,5,1,,\n", "two tasks 'a'"),
        (HEAD + "a,0,5,1,,b\n", "'a' depends on 'b', which is not in the trace"),
        (HEAD + "a,0,5,1,,b\nb,0,5,1,,a\n", "in a circle: a -> b -> a"),
        (HEAD + "a,0,5\n", "row 1: not as many fields"),
        (HEAD, "has no task to simulate"),
    ],
)
def test_a_wrong_table_says_where(file: File, text: str, said: str) -> None:
    with pytest.raises(HeadwayError) as caught:
        read_trace(file("tasks.csv", text))
    assert said in str(caught.value)


# ── pods ────────────────────────────────────────────────────────────────────────────────────────────────────

PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,0,500,20
p1,6000,12288,1,460,T4|P100,BE,Running,50,150,50
p2,8000,1024,4,1000,V100,LS,Running,60,100,60
p3,1000,1024,0,0,,LS,Pending,60,,
"""
NODES = "sn,cpu_milli,memory_mib,gpu,model\nn0,64000,262144,4,P100\nn1,64000,262144,4,V100\n"


def test_pods_ask_for_shares_and_for_models(file: File) -> None:
    found = read_trace(file("pods.csv", PODS))
    assert found.left_out == (("never scheduled", 1),)
    whole, share, four = found.jobs
    assert (whole.task.demand, whole.duration) == (Demand(12_000, 16_384 << 20, 1_000), 480 * SECOND)
    assert share.task.demand.gpu == 460
    assert four.task.demand.gpu == 4_000
    cluster = read_cluster(file("nodes.csv", NODES))
    result = simulate(found, cluster, "fcfs")
    assert {span.job: span.node for span in result.spans if span.job > 0} == {1: 0, 2: 1}


def test_pods_without_times_come_one_after_another(file: File) -> None:
    found = read_trace(
        file("p.csv.gz", "name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,0,0\nb,1,1,0,0\n")
    )
    assert [one.task.release for one in found.jobs] == [0, SECOND]


# ── wfcommons ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_workflow_instance_of_the_new_schema(file: File) -> None:
    tree = {
        "name": "blast", "schemaVersion": "1.5",
        "workflow": {
            "specification": {"tasks": [
                {"name": "split", "id": "split_1", "parents": [], "children": ["blast_2"]},
                {"name": "blastall_0002", "id": "blast_2", "parents": ["split_1"], "children": []},
            ]},
            "execution": {"tasks": [
                {"id": "split_1", "runtimeInSeconds": 2.5, "coreCount": 2},
                {"id": "blast_2", "runtimeInSeconds": 10, "memoryInBytes": 1024},
            ]},
        },
    }  # fmt: skip
    split, blast = read_trace(file("w.json", json.dumps(tree))).jobs
    assert (split.duration, split.task.demand.cpu) == (2_500_000, 2_000)
    assert (blast.task.after, blast.task.kind, blast.task.demand.memory) == (
        ("w/split_1",),
        "blastall",
        1_024,
    )


def test_a_workflow_instance_of_the_old_schema(file: File) -> None:
    tasks = [{"name": "a_1", "runtime": 3, "parents": []}, {"name": "b_1", "runtime": 4, "parents": ["a_1"]}]
    found = read_trace(file("w.json", json.dumps({"workflow": {"tasks": tasks}})))
    assert [(one.task.id, one.task.after) for one in found.jobs] == [("w/a_1", ()), ("w/b_1", ("w/a_1",))]


@pytest.mark.parametrize("text", ["{", "[]", '{"workflow": {"tasks": [{"runtime": 1}]}}'])
def test_what_is_no_instance_is_refused(file: File, text: str) -> None:
    with pytest.raises(Invalid, match="is no "):
        read_trace(file("w.json", text))


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_files_that_are_not_there_or_not_what_they_seem(file: File, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no trace"):
        read_trace(tmp_path / "none.swf")
    with pytest.raises(Invalid, match="cannot tell the format"):
        guess(file("tasks.txt", "x"))
    with pytest.raises(Invalid, match="no trace format 'xml'"):
        read_trace(file("tasks.txt", "x"), "xml")
    half = tmp_path / "half.csv.gz"
    half.write_bytes(gzip.compress(b"id,arrival,duration\n" * 100)[:30])
    with pytest.raises(Invalid, match="is no whole gzip file"):
        read_trace(half)
    (tmp_path / "bytes.csv").write_bytes(b"id\xff\n")
    with pytest.raises(Invalid, match="is no text in UTF-8"):
        read_trace(tmp_path / "bytes.csv")


def test_two_traces_at_once(file: File) -> None:
    both = merged([trace(job("a", 5), job("b", 6, after=("a",))), trace(job("a", 1))])
    assert [one.task.id for one in both.jobs] == ["2.r/a", "1.r/a", "1.r/b"]
    assert both.jobs[2].task.after == ("1.r/a",)


def test_a_cluster_of_several_kinds(file: File) -> None:
    text = """
    [[node]]
    name = "gpu"
    count = 2
    cpu = 64
    memory = "256GiB"
    gpu = 8
    cost = 12.5
    labels = { model = "V100" }
    [[node]]
    name = "cpu"
    cpu = 32
    resources = { license = 3 }
    """
    found = read_cluster(file("nodes.toml", text))
    assert [one.name for one in found.nodes] == ["gpu-1", "gpu-2", "cpu"]
    assert (found.nodes[0].gpus, found.nodes[0].memory, found.nodes[2].other) == (
        8,
        256 << 30,
        (("license", 3_000),),
    )
    assert found.prices == (12_500_000, 12_500_000, 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no node"),
        ("[[node]]\ncpus = 3", "node 1: no field 'cpus'"),
        ("[[node]]\ncpu = 'many'", "node 1: cpu='many' is not a number"),
        ("[[node]]\ncount = 0", "count 0"),
        ("node = 3", "'node' is not a list of tables"),
        ("[[node", "is no TOML"),
        ("[[node]]\nname='a'\n[[node]]\nname='a'", "two nodes 'a'"),
    ],
)
def test_a_wrong_cluster_says_where(file: File, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said.replace("[", r"\[")):
        read_cluster(file("nodes.toml", text))


# ── what a service did ──────────────────────────────────────────────────────────────────────────────────────


class Kept:
    """A journal by hand."""

    name = "kept"

    def __init__(self, *told: tuple[float, Event], graphs: Iterable[tuple[str, Workflow]] = ()) -> None:
        self._told, self._graphs = told, graphs

    def workflows(self) -> Iterable[tuple[str, Workflow]]:
        return self._graphs

    def events(self) -> Iterable[tuple[int, Event]]:
        return [(round(at * SECOND), event) for at, event in self._told]


def offered(name: str, at: float = 0) -> tuple[float, Event]:
    return at, TaskOffered(task(name, release=round(at * SECOND)))


def ended(
    name: str, at: float, took: float, attempt: int = 1, outcome: Outcome = Outcome.FINISHED
) -> tuple[float, Event]:
    return at, AttemptEnded(f"r/{name}", attempt, outcome, round(took * SECOND))


def read(
    *told: tuple[float, Event], since: float | None = None, graph: Workflow | None = None
) -> tuple[Trace, Cluster]:
    kept = Kept((0, NodeJoined(node("n1"))), *told, graphs=[("r", graph)] if graph else [])
    return journal.read(kept, None if since is None else round(since * SECOND))


def test_a_journal_gives_what_finished_and_how_long_it_took() -> None:
    found, nodes = read(offered("a"), offered("b", 3), offered("c", 4), ended("a", 9, 5), ended("b", 20, 7))
    assert [(one.task.id, one.task.release, one.duration) for one in found.jobs] == [
        ("r/a", 0, 5 * SECOND), ("r/b", 3 * SECOND, 7 * SECOND),
    ]  # fmt: skip
    assert found.left_out == (("did not finish", 1),)
    assert nodes.nodes == (node("n1"),)


def test_of_a_journal_only_the_last_hours() -> None:
    found, _ = read(offered("old"), ended("old", 5, 5), offered("new", 90), ended("new", 100, 5), since=20)
    assert [one.task.id for one in found.jobs] == ["r/new"]
    assert found.left_out == (("arrived earlier than asked", 1),)


def test_what_went_on_from_a_checkpoint_took_the_whole_of_it() -> None:
    """Preempted at 60 %, the rest took four seconds: ten in all."""
    found, _ = read(
        offered("a"),
        (6, AttemptCheckpointed("r/a", 1, 0, 600)),
        ended("a", 6, 6, outcome=Outcome.PREEMPTED),
        (8, AttemptCheckpointed("r/a", 2, 0, 800)),
        ended("a", 12, 4, attempt=2),
    )
    assert [one.duration for one in found.jobs] == [10 * SECOND]


def test_a_journal_has_dependencies_by_its_graphs() -> None:
    """`score` flows on item by item from `load`; `total` needs them all."""
    graph = Workflow("w", (
        TaskSpec("load", "m:f", args=(Value("v"),), mapped=1),
        TaskSpec("score", "m:f", args=(Output("load"),), mapped=1),
        TaskSpec("total", "m:f", args=(Output("score"),)),
    ))  # fmt: skip
    names = ("load[0]", "load[1]", "score[0]", "score[1]", "total")
    found, _ = read(*map(offered, names), *(ended(name, 9, 1) for name in names), graph=graph)
    assert {one.task.id[2:]: [name[2:] for name in one.task.after] for one in found.jobs} == {
        "load[0]": [], "load[1]": [], "score[0]": ["load[0]"], "score[1]": ["load[1]"],
        "total": ["score[0]", "score[1]"],
    }  # fmt: skip


def test_a_journal_of_tasks_that_called_tasks_knows_who_called_whom() -> None:
    tasks = (
        TaskSpec("a", "m:a", mapped=1, args=(Value("v"),), dynamic=True),
        TaskSpec("b", "m:b", args=(Output("a"),), mapped=1),
    )
    names = ("a[0]", "a[0].2", "a[0].2.x[1]", "a[0].3", "b[0]")
    told = [entry for name in names for entry in (offered(name), ended(name, 9, 1))]
    found, _ = read(*told, graph=Workflow("w", tasks))
    assert {one.task.id: one.task.after for one in found.jobs} == {
        "r/a[0]": (),
        "r/a[0].2": ("r/a[0]",),
        "r/a[0].2.x[1]": ("r/a[0].2",),
        "r/a[0].3": ("r/a[0].2",),
        "r/b[0]": ("r/a[0]", "r/a[0].2", "r/a[0].2.x[1]", "r/a[0].3"),
    }


def test_a_journal_in_which_nothing_finished_is_refused() -> None:
    with pytest.raises(Invalid, match="nothing that finished is kept"):
        read(offered("a"))


# ── a workflow that has not run ─────────────────────────────────────────────────────────────────────────────

GRAPH = Workflow("w", (
    TaskSpec("load", "m:f", args=(Value("v"),), mapped=1, estimate=3 * SECOND),
    TaskSpec("score", "m:f", args=(Output("load"),), mapped=1),
    TaskSpec("split", "m:f", args=(Output("score"),), estimate=SECOND),
    TaskSpec("part", "m:f", args=(Output("split"),), mapped=1, estimate=SECOND),
))  # fmt: skip
LITERAL = {"v": Ref("pickle", "", 0, items=3)}


def test_a_workflow_has_as_many_items_as_the_graph_says() -> None:
    found, notes = workflows.read(GRAPH, LITERAL, items={"part": 2})
    assert [one.task.id for one in found.jobs] == [
        "w/load[0]", "w/load[1]", "w/load[2]", "w/score[0]", "w/score[1]", "w/score[2]", "w/split", "w/part[0]",
        "w/part[1]",
    ]  # fmt: skip
    assert found.jobs[4].task.after == ("w/load[1]",)
    assert found.jobs[8].task.after == ("w/split",)
    assert notes == ["nobody says how long score takes: reckoned as 10.0 s"]


def test_what_a_workflow_does_not_say_is_noted_and_may_be_said() -> None:
    _, notes = workflows.read(GRAPH, LITERAL, durations={"score": SECOND})
    assert notes == ["how many items part has is not known before the run: reckoned as one"]
    with pytest.raises(Invalid, match="no task 'scores'"):
        workflows.read(GRAPH, LITERAL, durations={"scores": SECOND})


# ── gangs ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_of_a_gang_start_together(file: File, tmp_path: Path) -> None:
    rows = "id,arrival,duration,cpu,gang,within\nx,0,10,2,,\na,0,5,2,g,rack\nb,1,5,2,g,rack\nc,2,5,2,g,rack\n"
    found = read_trace(file("t.csv", rows))
    nodes = tuple(node(name, cpu=4, labels={"rack": rack}) for name, rack in (("n1", "r1"), ("n2", "r1")))
    result = simulate(found, Cluster("c", nodes), "fcfs")
    assert {r.job.task.id: r.started for r in result.records} == {
        "x": 0,
        "a": 2_000_000,
        "b": 2_000_000,
        "c": 2_000_000,
    }
    assert merged([found, found]).jobs[-1].task.gang is not None


def test_a_member_cannot_wait_for_its_own_gang(file: File) -> None:
    with pytest.raises(Invalid, match="of its own gang"):
        read_trace(file("t.csv", "id,arrival,duration,gang,dependencies\na,0,5,g,\nb,0,5,g,a\n"))
