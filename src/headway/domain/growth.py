"""Tasks that a dynamic task called: the graph that joins its run in its place.

It travels as the result of the attempt, a reference of kind `GRAPH`, and so lies in the journal with it: a replay grows the
same graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headway.domain.codec import (
    ref_from_json,
    ref_to_json,
    validate_workflow,
    workflow_from_json,
    workflow_to_json,
)
from headway.domain.results import Ref
from headway.domain.workflow import Output, Value, Workflow
from headway.errors import Invalid

#: Kind of a reference to a growth: its data is the growth as JSON.
GRAPH = "graph"
#: Bytes of a growth as JSON: it travels in a message and lies in the journal.
SIZE_MOST = 2 * 2**20

_FIELDS = ("under", "workflow", "values")


@dataclass(frozen=True, slots=True)
class Growth:
    """What a dynamic task returned instead of a value.

    Attributes:
        under: What stands before the names of its tasks in the run: `train` for `train.fit`.
        workflow: Its tasks, by names of their own. The result is one task's, or a literal.
        values: Its literals by key.
    """

    under: str
    workflow: Workflow
    values: Mapping[str, Ref]


def growth_to_json(growth: Growth) -> dict[str, Any]:
    """The whole growth; `growth_from_json` of it is equal to it."""
    return {
        "under": growth.under,
        "workflow": workflow_to_json(growth.workflow),
        "values": {key: ref_to_json(ref) for key, ref in growth.values.items()},
    }


def growth_from_json(tree: Any) -> Growth:
    """Read and check what a worker sent.

    Raises:
        Invalid: What is wrong with it, as with a submission.
    """
    if (
        not isinstance(tree, Mapping)
        or sorted(tree) != sorted(_FIELDS)
        or not isinstance(tree["values"], Mapping)
    ):
        raise Invalid("it returned something that is no graph of tasks")
    workflow = workflow_from_json(tree["workflow"])
    values = {str(key): ref_from_json(ref, f"values.{key}") for key, ref in tree["values"].items()}
    validate_workflow(workflow, values)
    under, result = tree["under"], workflow.result
    if not isinstance(under, str) or not under:
        raise Invalid("its tasks have no name to stand under")
    whole = isinstance(result, Output) and not result.path and not workflow[result.task].mapped
    if not workflow.tasks or not (whole or isinstance(result, Value)):
        raise Invalid("the result of its tasks is neither that of one task nor a value")
    return Growth(under, workflow, values)
