"""For all tests: the seed of the fuzzing, and the count of reference cases, which a reader of a log must not have to add up."""

from __future__ import annotations

import os
import random

import pytest

#: What `tests/reference` compares with lies beside the clone; without it those cases are skipped, never silently.
REFERENCE = "reference"


def pytest_configure() -> None:
    """Choose the seed of this run's fuzzing before any worker starts, so that all have the same."""
    os.environ.setdefault("HEADWAY_FUZZ_SEED", str(random.randrange(10**9)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases marked `reference` ran and were skipped; works under xdist, where reports are all we have."""

    def count(*outcomes: str) -> int:
        reports = (report for outcome in outcomes for report in terminalreporter.getreports(outcome))
        return sum(
            REFERENCE in report.keywords for report in reports if isinstance(report, pytest.TestReport)
        )

    ran, failed, skipped = count("passed", "failed"), count("failed", "error"), count("skipped")
    terminalreporter.write_line(f"fuzz seed: HEADWAY_FUZZ_SEED={os.environ['HEADWAY_FUZZ_SEED']}")
    terminalreporter.write_line(f"reference cases: {ran} run ({failed} failed), {skipped} skipped")
