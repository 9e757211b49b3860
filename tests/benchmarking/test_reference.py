"""The frame of the reference sets: what it prints, what it skips, and what its exit status says."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from benchmarks import reference
from benchmarks.references import Case
from benchmarks.references.rcpsp import parse, read

#: Two jobs of length 3 and 4 that both need the one machine: Patterson format, with the dummy start and end.
TINY = "4 1\n1\n0 0 2 2 3\n3 1 1 4\n4 1 1 4\n0 0 0\n"


def test_absent_sets_are_named_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--data", str(tmp_path), "-o", "json", "--sets", "rcpsp", "heft"]) == 0
    *sets, figures = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(one["set"], one["cases"], list(one["detail"])) for one in sets] == [
        ("rcpsp", 0, ["skipped"]),
        ("heft", 0, ["skipped"]),
    ]
    assert figures == {"bench": "reference", "figures": []}


def test_other_instances_in_the_same_layout_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _archive(tmp_path, optimum=7)
    assert reference.main(["--data", str(tmp_path), "-o", "json", "--sets", "rcpsp"]) == 0
    first, figures = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["cases"], first["met"]) == (1, 1)
    assert {figure["name"] for figure in figures["figures"]} >= {
        "rcpsp_list_mean_gap",
        "rcpsp_search_mean_gap",
    }


def test_another_log_is_measured_and_nothing_is_claimed_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "batch_queue"
    folder.mkdir()
    row = "{n} {at} -1 30 {size} -1 -1 {size} 40 -1 1 1 1 1 1 1 -1 -1"
    rows = [row.format(n=n, at=10 * n, size=1 + 100 * (n % 3)) for n in range(60)]
    (folder / "lublin9_256.swf").write_text("; MaxProcs: 256\n" + "\n".join(rows) + "\n")
    assert reference.main(["--data", str(tmp_path), "-o", "json", "--sets", "lublin"]) == 0
    found, figures = map(json.loads, capsys.readouterr().out.splitlines())
    assert (found["cases"], found["detail"]["file"]) == (0, "lublin9_256.swf")
    assert found["detail"]["not_compared"] == "the table is of lublin1_256"
    assert len(found["detail"]["table"]) == 8
    assert figures["figures"] == []


def test_a_table_of_other_gangs_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "batch_queue"
    folder.mkdir()
    (folder / "gang_2_jobs.csv").write_text("job_id,num_gpu,submit_time,duration\n0,4,0,10\n1,4,5,10\n")
    head = "policy,n,avg_jct,median_jct,avg_pending,makespan,preemptions\n"
    (folder / "gang_2_jobs_expected.csv").write_text(head + "fifo,2,12.5,12.5,2.5,20.0,0\n")
    (folder / "gang_cluster_1x4.csv").write_text("num_switch,num_node_p_switch,num_gpu_p_node\n1,1,4\n")
    assert reference.main(["--data", str(tmp_path), "-o", "json", "--sets", "gang"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["met"] == 3


def test_a_missed_number_is_the_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _archive(tmp_path, optimum=6)  # wrong: 7 is the least
    assert reference.main(["--data", str(tmp_path), "--sets", "rcpsp"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_no_folder_is_said_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--data", str(tmp_path / "none")]) == 2
    assert "--data or HEADWAY_BENCH_DATA" in capsys.readouterr().err


def test_every_set_has_its_module() -> None:
    folder = Path(reference.__file__).parent / "references"
    for name in reference.SETS:
        assert (folder / f"{name}.py").exists(), name


def test_a_sample_is_spread_over_the_set() -> None:
    assert Case(Path(), limit=3).sample(list(range(9))) == [0, 3, 6]
    assert Case(Path()).sample([1, 2]) == [1, 2]


def test_patterson_counts_successors_from_one(tmp_path: Path) -> None:
    made = parse(TINY)
    assert [(edge.before, edge.after) for edge in made.edges] == [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert [one.durations for one in made.jobs] == [(0,), (3,), (4,), (0,)]
    _archive(tmp_path, optimum=7)
    assert [(one.name, one.optimum) for one in read(tmp_path / "exact" / "rcpsp_tiny.tar.gz")] == [
        ("j2_1_1", 7)
    ]


def _archive(folder: Path, optimum: int) -> None:
    exact = folder / "exact"
    exact.mkdir()
    (exact / "rcpsp_tiny_optimum.csv").write_text(f"problem,optimum\nj21_1.sm,{optimum}\n")
    with tarfile.open(exact / "rcpsp_tiny.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("tiny/j2_1_1.rcp")
        entry.size = len(TINY)
        archive.addfile(entry, BytesIO(TINY.encode()))
