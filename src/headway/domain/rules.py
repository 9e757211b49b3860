"""Trigger rules: what must be true of how the tasks before one ended, so that it runs. Names and meaning are Airflow's."""

from __future__ import annotations

from dataclasses import dataclass

#: The first is the usual one.
RULES = ("all_success", "all_done", "one_failed", "none_failed", "none_skipped")
WAIT, GO, SKIP = "wait", "go", "skip"


@dataclass(slots=True)
class Ends:
    """How many of those before a task have ended how.

    Attributes:
        live: Have not ended.
        done: Have finished.
        failed: Have failed, were cancelled, or were skipped because of such a one.
        skipped: Were skipped because a condition or a rule said so.
    """

    live: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0


def judge(rule: str, ends: Ends) -> str:
    """`wait`, `go` or `skip`. All rules but `one_failed` wait until all have ended."""
    if rule == "one_failed" and ends.failed:
        return GO
    if ends.live:
        return WAIT
    holds = {
        "all_success": not ends.failed and not ends.skipped,
        "all_done": True,
        "one_failed": False,
        "none_failed": not ends.failed,
        "none_skipped": not ends.skipped,
    }
    return GO if holds[rule] else SKIP
