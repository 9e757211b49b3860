"""The life of one task as the planner sees it: a table, and nothing else decides what may follow what.

The planner hears of a task from two sides, the executor that ran it and the scheduler that placed it, and
each executor has a stream of its own. So it may hear the end of an attempt before its start, and the end of a
task before that of the task it waited for: whatever lives may start and may finish. What never happens is
that a terminal task moves, except by a person's wish to run it again; that is "recorded once".
"""

from __future__ import annotations

from headway.errors import HeadwayError

#: The states, in the order listings show them; a row of a run holds the index.
STATES = ("waiting", "queued", "running", "finished", "failed", "cancelled", "skipped", "unknown")
WAITING, QUEUED, RUNNING, FINISHED, FAILED, CANCELLED, SKIPPED, UNKNOWN = range(len(STATES))
#: Of a mapped task, before its items were known: the row has been replaced by one row for each item.
EXPANDED = len(STATES)

LIVE = frozenset((WAITING, QUEUED, RUNNING))
#: Ended, and nothing that needs the result can run.
DEAD = frozenset((FAILED, CANCELLED, SKIPPED, UNKNOWN))
#: Which ends a person may take back. `unknown` is not among them: the task was never to run twice.
RERUNNABLE = frozenset((FAILED, CANCELLED, SKIPPED))

#: (state, what happens) -> state
TABLE = {
    (WAITING, "ready"): QUEUED,
    (WAITING, "expand"): EXPANDED,
    **{(state, "start"): RUNNING for state in LIVE},
    # a dynamic task: its attempt is over, and it runs on as long as the tasks that it called
    **{(state, "grow"): RUNNING for state in LIVE},
    **{(state, "finish"): FINISHED for state in LIVE},
    **{(state, "fail"): FAILED for state in LIVE},
    **{(state, "cancel"): CANCELLED for state in LIVE},
    **{(state, "skip"): SKIPPED for state in LIVE},
    **{(state, "lose"): UNKNOWN for state in LIVE},
    (QUEUED, "again"): QUEUED,
    (RUNNING, "again"): QUEUED,
    (
        WAITING,
        "wait",
    ): WAITING,  # looked ahead, granted and lost before the planner heard that its parents had finished
    (RUNNING, "wait"): WAITING,
    **{(state, "rerun"): WAITING for state in RERUNNABLE},
}


class ImpossibleMove(HeadwayError):
    """A task was to change in a way its life does not know: a bug, with its story."""

    code = "impossible_move"
    status = 500

    def __init__(self, state: int, what: str, task: str) -> None:
        name = STATES[state] if state < EXPANDED else "expanded"
        super().__init__(f"task {task} is {name}: it cannot {what}", task=task, state=name, what=what)
