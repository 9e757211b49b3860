"""Heavier solvers behind the port of `core.joint`, one a file; each is an extra and imported only when asked."""

from __future__ import annotations

from headway.core.joint.port import Solver
from headway.core.joint.search import Lists, Search
from headway.errors import Invalid


def named(name: str) -> Solver:
    """The solver of that name; what needs a library is imported only then.

    Raises:
        Invalid: There is none.
        Unavailable: Its library is not installed.
    """
    if name == "search":
        return Search()
    if name == "lists":
        return Lists()
    if name == "cpsat":
        from headway.solvers.cpsat import CpSat

        return CpSat()
    raise Invalid(f"no solver {name!r}", hint="one of: search, lists, cpsat")
