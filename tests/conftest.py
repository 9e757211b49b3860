"""For all tests: the count of reference cases, which a reader of a log must not have to add up."""

from __future__ import annotations

import pytest

#: What `tests/reference` compares with lies beside the clone; without it those cases are skipped, never silently.
REFERENCE = "reference"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases marked `reference` ran and were skipped; works under xdist, where reports are all we have."""

    def count(*outcomes: str) -> int:
        reports = (report for outcome in outcomes for report in terminalreporter.getreports(outcome))
        return sum(REFERENCE in report.keywords for report in reports if isinstance(report, pytest.TestReport))

    ran, failed, skipped = count("passed", "failed"), count("failed", "error"), count("skipped")
    terminalreporter.write_line(f"reference cases: {ran} run ({failed} failed), {skipped} skipped")
