"""Results of a lease's members, for those behind them that take them as inputs."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_PER_LEASE = 512
#: A lease whose members have all ended may be extended a moment later by one that needs a result of theirs.
_CLOSED_KEPT = 64


class Results:
    """References by lease and task, within bounds."""

    def __init__(self) -> None:
        self._leases: dict[int, OrderedDict[str, Any]] = {}
        self._closed: OrderedDict[int, None] = OrderedDict()

    def put(self, lease: int, task: str, ref: Any) -> None:
        """A member has finished."""
        results = self._leases.get(lease)
        if results is None:
            results = self._leases[lease] = OrderedDict()
        elif len(results) >= _PER_LEASE:
            results.popitem(last=False)
        results[task] = ref
        self._closed.pop(lease, None)

    def get(self, lease: int, task: str) -> Any | None:
        """The reference, or None."""
        results = self._leases.get(lease)
        return None if results is None else results.get(task)

    def close(self, lease: int) -> None:
        """The lease has no members now."""
        if lease in self._leases:
            self._closed[lease] = None
            self._closed.move_to_end(lease)
            if len(self._closed) > _CLOSED_KEPT:
                self._leases.pop(self._closed.popitem(last=False)[0], None)
