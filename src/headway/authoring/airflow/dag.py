"""What is read of a DAG file: tasks, their options and their order, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Operator:
    """One task of a DAG.

    Attributes:
        id: Its `task_id`.
        line: Where it stands.
        options: As of `@task` or `shell`, in Headway's words.
        command: Of a BashOperator, or what stands for an EmptyOperator.
        function: Name of the function in the file, of a PythonOperator or of `@task`.
        args, kwargs: Arguments: source text, or the ids of other tasks (`Result`).
        before: Ids of the tasks it waits for.
    """

    id: str
    line: int
    options: dict[str, Any] = field(default_factory=dict)
    command: str | None = None
    function: str = ""
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    before: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of another task as an argument; `part` is the source of what is selected (`["key"]`)."""

    id: str
    part: str = ""


@dataclass(slots=True)
class Dag:
    """A DAG file.

    Attributes:
        id: Of the DAG.
        schedule: A cron expression, an interval in seconds, or None.
        catchup: Whether missed intervals are made up for.
        sources: What of the file is kept as it stands: imports, constants, functions.
        notes: What has no meaning here and was left out, in sentences.
    """

    id: str = ""
    schedule: str | int | None = None
    catchup: bool = False
    operators: dict[str, Operator] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
