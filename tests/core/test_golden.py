"""What the engine decides stays the same to the byte, whatever is changed about how it finds out.

Each digest is of all that was decided in one of the `histories`, reasons and wake-up times included. Who changes decisions on purpose
writes the new digests down: `python -m tests.core.test_golden` prints the table.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.histories import History, crowd

STEPS = 250
ALL = (
    "odd", "graphs", "gangs", "nodes", "limits", "overrides", "windows", "plans", "paces", "tenants", "short", "edits",
)  # fmt: skip
LONGER = {"preempt_longer": True, "min_run": 100_000}
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "fcfs": ((), {"order": "fcfs"}),
    "srpt": (("edits",), {"order": "srpt"}),
    "classes": (("edits", "nodes"), {"order": "priority > srpt", "min_run": 100_000}),
    "fair": (("edits", "tenants"), {"order": "priority > fair > srpt"}),
    "history": (("tenants", "nodes"), {"order": "fair_history > fcfs"}),
    "attained_run": (("graphs",), {"order": "priority > attained_run > sjf"}),
    "trains": (("short", "graphs", "edits"), {"order": "srpt"}),
    "trains_fair": (("short", "graphs", "nodes"), {"order": "fair > srpt"}),
    "strict": (("odd", "edits"), {"order": "priority > fcfs", "discipline": "strict"}),
    "backfill": (("odd", "short"), {"order": "fcfs", "discipline": "backfill"}),
    "easy": (("gangs", "graphs"), {"order": "priority > sjf", "discipline": "easy"}),
    "gangs": (("gangs", "nodes", "edits"), {"order": "priority > srpt", "min_run": 100_000}),
    "variants": (("odd", "graphs", "paces"), {"order": "priority > wspt"}),
    "limits": (("limits", "odd", "short"), {"order": "priority > srpt", "min_run": 100_000}),
    "limits_fair": (("limits", "odd", "gangs"), {"order": "fair > srpt"}),
    "overrides": (("overrides", "edits"), {"order": "deadline > aging", "min_run": 100_000}),
    "windows": (("windows", "overrides"), {"order": "priority > slack", "min_run": 100_000}),
    "plans": (("plans", "short"), {"order": "joint"}),
    "longer": (("edits", "paces"), {"order": "priority > srpt", "budgets": ("run 1 at once",), **LONGER}),
    "attained": (("edits",), {"order": "las > fcfs", "preempt_attained": True, "min_run": 100_000}),
    "critical": (("graphs", "orders"), {"order": "priority > critical_path"}),
    "fgd": (("edits", "odd"), {"order": "fcfs", "placement": "fgd"}),
    "fgd_fair": (("nodes",), {"order": "priority > fair > srpt", "placement": "fgd"}),
    "min_waste": (("odd", "nodes"), {"order": "srpt", "placement": "min_waste"}),
    "spread": (("short",), {"order": "srpt", "placement": "spread"}),
    "pack": (("nodes",), {"order": "srpt", "placement": "pack"}),
    "least": (("odd",), {"order": "fcfs", "placement": "least_allocated"}),
    "completion": (("graphs", "paces"), {"order": "priority > srpt", "placement": "min_completion"}),
    "locality": (("graphs", "short"), {"order": "srpt", "placement": "locality"}),
    "all": ((*ALL, "orders"), {"order": "priority > srpt", "min_run": 100_000, **LONGER}),
    "all_fgd": ((*ALL, "orders"), {"order": "priority > fair > srpt", "placement": "fgd", "min_run": 100_000}),
}  # fmt: skip
CROWDS = [
    (order, placement)
    for order in ("fcfs", "srpt", "priority > fair > srpt")
    for placement in ("best_fit", "fgd")
]
DIGESTS = {
    "fcfs": "17bac4e3533456b1",  # Start 166
    "srpt": "7b005e946daa7769",  # Start 177, Dropped 17
    "classes": "4e86d236e2c11c64",  # Start 161, Dropped 10, Preempt 36, Spare 5, Recall 26, Lost 15
    "fair": "70759713aec2458e",  # Start 175, Preempt 49, Recall 18, Dropped 10, Spare 11
    "history": "0dcaf359a705a420",  # Start 173, Lost 3
    "attained_run": "78ee279a66dc9696",  # Start 175, Preempt 39, Spare 6, Recall 17
    "trains": "5092a52a66458f1e",  # Dropped 18, Start 236, Recall 1
    "trains_fair": "9664fa8397e5a912",  # Start 206, Lost 12
    "strict": "5d26fecf6b3d619a",  # Start 185, Dropped 22, Preempt 9, Recall 6, Spare 1
    "backfill": "beb34fa8c9c80546",  # Start 235
    "easy": "5222d388971af32e",  # Start 174, Preempt 58, Recall 31, Spare 12
    "gangs": "01a3a01499a28fc4",  # Start 168, Recall 41, Preempt 33, Lost 9, Spare 2, Dropped 9
    "variants": "285866f811a8711b",  # Start 185, Preempt 34, Recall 24, Spare 4
    "limits": "bf8a040f9ad450e1",  # Start 244, Recall 11, Preempt 2, Spare 1
    "limits_fair": "f1ce379b6b0705d5",  # Start 175, Preempt 8, Recall 1, Spare 2
    "overrides": "d1988ff73dd09038",  # Start 173, Recall 2, Dropped 12
    "windows": "1e1b55851692c960",  # Start 177, Recall 26, Preempt 56, Spare 19
    "plans": "b5002e8b255bb148",  # Start 247
    "longer": "2a66e4dbafa8507e",  # Start 199, Recall 76, Preempt 69, Dropped 9, Spare 18
    "attained": "ca16dad65cd19d28",  # Dropped 20, Start 169, Preempt 1
    "critical": "4eb4f032309c0be6",  # Start 168, Recall 20, Preempt 51, Spare 10
    "fgd": "9c5c2b90f6bab811",  # Start 178, Dropped 13
    "fgd_fair": "8de712e41041aa2d",  # Start 201, Recall 20, Preempt 61, Lost 29, Spare 21
    "min_waste": "abae1a989afb2279",  # Start 177, Lost 16
    "spread": "37d63fc44311bc88",  # Start 248
    "pack": "0f7b2a333aa7ca49",  # Start 183, Lost 30
    "least": "e3ef7fa5ee5ffe6e",  # Start 188
    "completion": "2316aef83954fc00",  # Start 183, Preempt 45, Recall 12, Spare 7
    "locality": "f5ced948ed8df218",  # Start 244, Recall 1
    "all": "09306cc65d0e4594",  # Start 252, Recall 51, Preempt 29, Dropped 2, Spare 1
    "all_fgd": "15bcdd44828969e4",  # Start 238, Preempt 17, Recall 25, Lost 8, Dropped 4, Spare 2
    "fcfs, best_fit": "e3a91d94e4326623",
    "fcfs, fgd": "8096eafd49ecec72",
    "srpt, best_fit": "c985926247bd958c",
    "srpt, fgd": "b2f1a71e963f0c81",
    "priority > fair > srpt, best_fit": "ed5583e483e8f576",
    "priority > fair > srpt, fgd": "21cb58ac5b5efeaa",
}


def digest(name: str) -> tuple[str, dict[str, int]]:
    """Of the case: the first 16 digits, and how often each kind of decision was taken."""
    features, settings = CASES[name]
    history = History(sum(map(ord, name)), features, **settings)
    found = history.go(STEPS)[:16]
    history.engine.check()
    return found, history.decided


@pytest.mark.parametrize("name", CASES)
def test_decisions_are_what_they_were(name: str) -> None:
    found, decided = digest(name)
    assert decided["Start"] > 50, "the history is not one of much work"
    assert found == DIGESTS[name], "a change of decisions; if it is meant, see this file's first lines"


@pytest.mark.parametrize(("order", "placement"), CROWDS)
def test_a_long_line_before_many_nodes(order: str, placement: str) -> None:
    assert crowd(order, placement)[:16] == DIGESTS[f"{order}, {placement}"]


if __name__ == "__main__":
    for case in CASES:
        found, decided = digest(case)
        print(f'    "{case}": "{found}",  # {", ".join(f"{k} {v}" for k, v in decided.items())}')
    for order, placement in CROWDS:
        print(f'    "{order}, {placement}": "{crowd(order, placement)[:16]}",')
