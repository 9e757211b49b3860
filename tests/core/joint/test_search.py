"""Our search keeps the port's promises, can be gone on with, and leaves local optima."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings

from headway.core.joint.listing import RULES, best_list, listed
from headway.core.joint.plan import faults
from headway.core.joint.port import Budget, Solver
from headway.core.joint.problem import Problem
from headway.core.joint.search import Lists, Search, Walk
from headway.core.joint.serial import Builder
from tests.conformance.solver_suite import ONE_GPU, ONE_GPU_OPTIMUM, SolverSuite
from tests.core.joint.problems import small


class TestSearch(SolverSuite):
    """The port's suite on our search."""

    @pytest.fixture
    def solver(self) -> Solver:
        return Search()


class TestLists(SolverSuite):
    """And on list scheduling alone, which finds the optimum only where a rule has it."""

    exact = False

    @pytest.fixture
    def solver(self) -> Solver:
        return Lists()


def test_a_walk_gone_on_with_is_the_longer_walk() -> None:
    builder = Builder(ONE_GPU)
    once, twice = Walk(builder, 3), Walk(builder, 3)
    once.go(900)
    twice.go(400)
    twice.go(500)
    assert (once.steps, once.best) == (twice.steps, twice.best)


def test_a_walk_stops_when_its_best_is_proved() -> None:
    single = Builder(Problem(ONE_GPU.resources, ONE_GPU.places, ONE_GPU.jobs[:1]))
    walk = Walk(single)
    walk.go(1_000_000)
    assert walk.proved
    assert walk.steps == 0


def test_search_finds_what_no_rule_does() -> None:
    assert best_list(Builder(ONE_GPU)).measure[1] > ONE_GPU_OPTIMUM
    assert Search().solve(ONE_GPU, Budget(2_000)).cost == ONE_GPU_OPTIMUM


def test_different_seeds_walk_differently() -> None:
    walks = [Walk(Builder(ONE_GPU), seed) for seed in range(4)]
    for walk in walks:
        walk.go(30)
    assert len({tuple(walk._now.order) for walk in walks}) > 1


@settings(max_examples=40, deadline=None)
@given(small(jobs=5))
def test_every_rule_lists_every_job_once_and_soundly(made: Problem) -> None:
    builder = Builder(made)
    for rule in RULES:
        found = listed(builder, rule)
        assert sorted(found.order) == list(range(builder.count))
        assert faults(made, builder.plan(found.starts, found.at)) == []


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from headway.core.joint.port import Budget\n"
        "from headway.core.joint.search import Search\n"
        "from tests.conformance.solver_suite import PROJECT\n"
        "print(Search().solve(PROJECT, Budget(300, 5)).encode().hex())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
