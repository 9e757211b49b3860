"""CP-SAT keeps the port's promises and proves the optimum of small problems."""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import Any

import pytest

from headway.core.joint.port import Budget, Solver
from headway.errors import Invalid, Unavailable
from headway.solvers.cpsat import CpSat
from tests.conformance.solver_suite import ONE_GPU, SolverSuite


class TestCpSat(SolverSuite):
    """The port's suite."""

    proves = True

    @pytest.fixture
    def solver(self) -> Solver:
        pytest.importorskip("ortools", reason="OR-Tools is not installed: pip install 'headway[solvers]'")
        return CpSat()

    def test_it_proves_what_search_only_finds(self, solver: Solver) -> None:
        assert solver.solve(ONE_GPU, Budget(5_000)).proved

    def test_numbers_beyond_64_bits_are_refused_with_a_way_out(self, solver: Solver) -> None:
        jobs = (replace(one, durations=(10**17 + index,)) for index, one in enumerate(ONE_GPU.jobs))
        made = replace(ONE_GPU, jobs=tuple(jobs))
        with pytest.raises(Invalid, match="too large") as caught:
            solver.solve(made, Budget(10))
        assert "'search'" in str(caught.value)


def test_without_or_tools_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("ortools"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unavailable, match="needs OR-Tools") as caught:
        CpSat()
    assert "pip install 'headway[solvers]'" in str(caught.value)
