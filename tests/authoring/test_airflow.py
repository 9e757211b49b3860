"""A DAG file as a workflow: what it becomes, that it runs, and that the rest is refused with its line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headway.authoring.airflow.reading import read
from headway.authoring.airflow.writing import write
from headway.domain.units import SECOND
from headway.domain.workflow import Output, Retry, Workflow
from headway.errors import Invalid

CLASSIC = '''
from __future__ import annotations
import json
from datetime import datetime, timedelta

from airflow import DAG
from airflow.models.baseoperator import chain
from airflow.operators.bash import BashOperator
from airflow.operators.empty import EmptyOperator
from airflow.operators.python import PythonOperator
from airflow.utils.trigger_rule import TriggerRule

DAYS = 3
default_args = {"owner": "me", "retries": 2, "retry_delay": timedelta(minutes=5)}


def load(table: str, rows: int = 1) -> str:
    """Says what it was given."""
    return json.dumps({"table": table, "rows": rows, "days": DAYS})


with DAG("etl", default_args=default_args, schedule="@daily", start_date=datetime(2026, 1, 1), tags=["x"]) as dag:
    start = EmptyOperator(task_id="start")
    fetch = BashOperator(task_id="fetch", bash_command="echo ${HOME}", execution_timeout=timedelta(hours=1),
                         priority_weight=5, env={"A": "1"})
    loads = [
        PythonOperator(task_id="load_a", python_callable=load, op_args=["a"], op_kwargs={"rows": DAYS}),
        PythonOperator(task_id="load_b", python_callable=load, op_kwargs={"table": "b"}),
    ]
    end = EmptyOperator(task_id="end-all", trigger_rule=TriggerRule.ALL_DONE, retries=0)
    start >> fetch >> loads >> end
    notify = BashOperator(task_id="notify", bash_command="echo done", pool="mail", pool_slots=2)
    notify.set_upstream(end)
    chain(start, [fetch, notify])
'''  # fmt: skip

TASKFLOW = """
from airflow.decorators import dag, task
from datetime import timedelta

@dag(schedule=timedelta(hours=6))
def flow():
    @task(retries=3)
    def extract() -> dict:
        return {"a": [1, 2, 3], "b": 5}

    @task
    def total(values: list, add: int) -> int:
        return sum(values) + add

    @task(task_id="shown")
    def show(x):
        with open("shown", "a") as out:
            out.write(f"{x} ")

    data = extract()
    one = total(data["a"], data["b"])
    show(one) >> show(total([1], add=2))

flow()
"""


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], ModuleType]:
    """The module that a DAG file becomes."""

    def make(text: str) -> ModuleType:
        (tmp_path / "dag.py").write_text(text)
        module = ModuleType("from_airflow")
        exec(compile(write(read(tmp_path / "dag.py"), "dag.py"), "from_airflow", "exec"), module.__dict__)
        return module

    return make


def test_a_classic_dag_has_the_same_tasks_options_and_order(made: Callable[[str], ModuleType]) -> None:
    graph: Workflow = made(CLASSIC).etl.trace().workflow
    assert [spec.name for spec in graph.tasks] == ["start", "fetch", "load_a", "load_b", "end-all", "notify"]
    fetch, last, notify = graph["fetch"], graph["end-all"], graph["notify"]
    assert (fetch.shell, fetch.after, fetch.priority, fetch.timeout) == (
        "echo ${HOME}",
        ("start",),
        5,
        3600 * SECOND,
    )
    assert fetch.retry == Retry(2, 300 * SECOND, 86400 * SECOND)
    assert fetch.environment is not None
    assert fetch.environment.variables == (("A", "1"),)
    assert graph["load_a"].after == graph["load_b"].after == ("fetch",)
    assert (last.after, last.rule, last.retry) == (("load_a", "load_b"), "all_done", Retry())
    assert notify.after == ("end-all", "start")
    assert dict(notify.demand.other) == {"mail": 2000}


def test_what_it_left_out_and_when_it_ran_stand_in_its_head(made: Callable[[str], ModuleType]) -> None:
    head = made(CLASSIC).__doc__ or ""
    assert "read from the Airflow DAG dag.py" in head
    assert "headway schedule etl FILE --cron '0 0 * * *'" in head
    for note in ("owner has no meaning here", "tags of the DAG", "pool 'mail' is a resource"):
        assert note in head
    assert "--every 21600s" in (made(TASKFLOW).__doc__ or "")


def test_results_go_from_task_to_task_and_the_workflow_runs(
    made: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = made(TASKFLOW)
    graph: Workflow = module.flow.trace().workflow
    assert sorted(spec.name for spec in graph.tasks) == ["extract", "shown", "shown__1", "total", "total__1"]
    assert graph["total"].args == (Output("extract", ("a",)), Output("extract", ("b",)))
    assert graph["shown__1"].after == ("shown",)
    module.flow()
    assert (tmp_path / "shown").read_text().split() == ["11", "3"]


def test_the_file_is_written_for_people_and_never_over_another(tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text(CLASSIC)

    def headway(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "headway", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = headway("import", "airflow", "dag.py", "-o", "etl.py")
    assert done.returncode == 0, done.stderr
    assert "6 tasks of etl" in done.stderr
    graph = headway("graph", "etl.py")
    assert graph.stdout.startswith("etl: 6 tasks"), graph.stderr
    again = headway("import", "airflow", "dag.py", "-o", "etl.py")
    assert (again.returncode != 0, "is there already" in again.stderr) == (True, True)
    assert headway("import", "airflow", "dag.py").stdout == (tmp_path / "etl.py").read_text()
    (tmp_path / "bad.py").write_text(
        "from airflow import DAG\nwith DAG('x') as d:\n    for i in range(3): pass\n"
    )
    bad = headway("import", "airflow", "bad.py")
    assert bad.returncode != 0
    assert "bad.py:3: `for` round tasks is not understood" in bad.stderr
    assert "Traceback" not in bad.stderr


def refused(text: str, folder: Path) -> str:
    (folder / "dag.py").write_text(text)
    with pytest.raises(Invalid) as error:
        write(read(folder / "dag.py"), "dag.py")
    return error.value.message


HEAD = (
    "from airflow import DAG\nfrom airflow.operators.bash import BashOperator\n"
    "from airflow.operators.python import PythonOperator\nfrom airflow.decorators import task\n"
)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("b = BashOperator(task_id='b', bash_command='echo {{ ds }}')", 6, "is a Jinja template"),
        ("b = BashOperator(task_id='b', bash_command=f'echo {x}')", 6, "is not known without running the file"),
        ("b = BashOperator(task_id='b', bash_command=COMMAND)", 6, "the value of 'COMMAND' is not known"),
        ("b = BashOperator('b', bash_command='x')", 6, "is written with task_id="),
        ("b = BashOperator(task_id='b', bash_command='x', sla=5)", 6, "sla has no counterpart here"),
        ("b = BashOperator(task_id='b', bash_command='x', depends_on_past=True)", 6, "depends_on_past has no"),
        ("b = BashOperator(task_id='b', bash_command='x', trigger_rule='one_done')", 6, "trigger_rule 'one_done'"),
        ("b = BashOperator(task_id='b', bash_command='x', retry_delay=timedelta(years=1), retries=1)", 6, "timedelta"),
        ("b = BashOperator(task_id='b', bash_command='x')\n    BashOperator(task_id='b', bash_command='x')", 7, "already, at line 6"),
        ("b = KubernetesPodOperator(task_id='b')", 6, "KubernetesPodOperator is not understood"),
        ("b = FileSensor(task_id='b')", 6, "FileSensor is not understood"),
        ("p = PythonOperator(task_id='p', python_callable=lambda: 1)", 6, "python_callable is no name"),
        ("for n in range(3):\n        BashOperator(task_id=str(n), bash_command='x')", 6, "`for` round tasks"),
        ("if True:\n        BashOperator(task_id='b', bash_command='x')", 6, "`if` round tasks"),
        ("@task.branch\n    def choose(): return 'x'", 6, "@task.branch is not understood"),
        ("@task\n    def f(**kwargs): return 1", 7, "takes **kwargs: Airflow's context"),
        ("@task\n    def f(ti): return 1", 7, "takes ti: Airflow's context"),
        ("@task\n    def f():\n        from airflow.models import Variable\n        return 1", 8, "it imports airflow"),
        ("b = BashOperator(task_id='b', bash_command='x')\n    b >> c", 7, "`c` is no task"),
        ("pass", 1, "has no tasks"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_with_its_line(
    tmp_path: Path, body: str, line: int, message: str
) -> None:
    said = refused(f"{HEAD}with DAG('x') as dag:\n    {body}\n", tmp_path)
    assert f"dag.py:{line}: " in said
    assert message in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "there is no DAG in it"),
        ("with DAG(\n", "it is no Python"),
        (f"{HEAD}with DAG('a') as a:\n    pass\nwith DAG('b') as b:\n    pass\n", "dag.py:7: a second DAG"),
        (
            f"{HEAD}with DAG('a', schedule='@continuous') as a:\n    pass\n",
            "there is no schedule '@continuous'",
        ),
        (f"{HEAD}with DAG('a', timetable=X()) as a:\n    pass\n", "timetable of a DAG has no counterpart"),
        (
            f"{HEAD}with DAG('a') as a:\n    b = BashOperator(task_id='b', bash_command='x')\n"
            "    c = BashOperator(task_id='c', bash_command='x')\n    b >> c >> b\n",
            "wait for each other in a circle",
        ),
    ],
)
def test_a_file_that_holds_no_dag_to_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(text, tmp_path)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    lines = "".join(
        f"    b{n} = BashOperator(task_id='b{n}', bash_command='{{{{ ds }}}}')\n" for n in range(15)
    )
    said = refused(f"{HEAD}with DAG('x') as dag:\n{lines}", tmp_path)
    assert said.count("Jinja") == 12
    assert said.endswith("and 3 more")


def test_a_dag_as_a_value_and_other_ways_to_order(made: Callable[[str], ModuleType]) -> None:
    text = HEAD + (
        "dag = DAG(dag_id='my-dag', schedule_interval=None)\n"
        "a = BashOperator(task_id='a', bash_command='true', dag=dag)\n"
        "b = BashOperator(task_id='b', bash_command='true', dag=dag)\n"
        "c = BashOperator(task_id='c', bash_command='true', dag=dag)\n"
        "c << [a, b]\n"
        "a.set_downstream(b)\n"
    )
    module: Any = made(text)
    graph = module.my_dag.trace().workflow
    assert {spec.name: spec.after for spec in graph.tasks} == {"a": (), "b": ("a",), "c": ("a", "b")}
