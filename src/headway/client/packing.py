"""Traces a workflow object into a submission. Runs the workflow's body, which is the caller's own code, and
no task.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headway.authoring.bundle import Bundle
from headway.authoring.decorators import WorkflowFunction
from headway.authoring.futures import Given
from headway.authoring.tracing import Traced
from headway.client.submission import Submission, new_run_id
from headway.domain.codec import ref_to_json, workflow_to_json
from headway.domain.schedule import EVENT, INTERVAL
from headway.errors import Invalid

_BUNDLES_KEPT = 32
#: By the very functions: their code is what was imported, so a second submit need not read the sources again.
# The functions
#: are kept too, or an id could come to mean another.
_bundles: OrderedDict[tuple[tuple[str, int], ...], tuple[Bundle, tuple[Callable[..., Any], ...]]] = (
    OrderedDict()
)


def pack(
    workflow: Any, args: Sequence[Any], params: Mapping[str, Any], *, run: str | None = None
) -> Submission:
    """Make a submission.

    Args:
        workflow: A function decorated with `@workflow`, what its `trace` returned, or a submission.
        args: Its positional parameters.
        params: Its named parameters.
        run: The id that the run gets; a new one by default.

    Raises:
        Invalid: It is none of these, or its parameters or graph are wrong.
    """
    if isinstance(workflow, Submission | Traced) and (args or params):
        raise Invalid(
            f"parameters for {type(workflow).__name__}, which has its values already", hint="submit it alone"
        )
    if isinstance(workflow, Submission):
        return workflow
    if isinstance(workflow, WorkflowFunction):
        traced = workflow.trace(*args, **params)
    elif isinstance(workflow, Traced):
        traced = workflow
    else:
        raise Invalid(
            f"{workflow!r} is not a workflow",
            hint="write @workflow above its def, and pass the function itself",
        )
    bundle = _bundle_of(traced)
    blobs = dict(traced.blobs)
    if bundle is not None:
        blobs[bundle.sha] = bundle.data
    body = {
        "run": run or new_run_id(traced.workflow.name),
        "workflow": workflow_to_json(traced.workflow),
        "values": {key: ref_to_json(ref) for key, ref in traced.refs.items()},
        "bundle": bundle.sha if bundle is not None else "",
    }
    return Submission(body, blobs)


def pack_schedule(workflow: Any, when: Mapping[str, Any], params: Mapping[str, Any]) -> Submission:
    """What `PUT /v1/schedules/NAME` takes: the workflow traced with stand-ins for what each run of it will be given.

    Raises:
        Invalid: As `pack`.
    """
    if isinstance(workflow, WorkflowFunction):
        taken = [name for name in (*INTERVAL, EVENT) if name in workflow.parameters and name not in params]
        params = {**params, **{name: Given(name) for name in taken}}
    submission = pack(workflow, (), params)
    body = {**submission.body, "schedule": dict(when)}
    del body["run"]
    return Submission(body, submission.blobs)


def _bundle_of(traced: Traced) -> Bundle | None:
    if not traced.functions:
        return None
    key = tuple((name, id(function)) for name, function in sorted(traced.functions.items()))
    if key in _bundles:
        _bundles.move_to_end(key)
        return _bundles[key][0]
    bundle = traced.bundle()
    _bundles[key] = (bundle, tuple(traced.functions.values()))
    while len(_bundles) > _BUNDLES_KEPT:
        _bundles.popitem(last=False)
    return bundle
