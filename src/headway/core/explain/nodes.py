"""A node as a listing shows it."""

from __future__ import annotations

from typing import Any

from headway.core.placement.space import Space
from headway.domain.units import GPU_MEMORY


def node_view(space: Space) -> dict[str, Any]:
    """A node for a listing, as plain JSON."""
    node = space.node
    return {
        "node": space.name,
        "cpu": node.cpu,
        "cpu_free": space.cpu,
        "memory": node.memory,
        "memory_free": space.memory,
        "gpus": node.gpus,
        "gpus_free": space.devices[: node.gpus],
        "other": dict(node.other),
        "other_free": {name: space.other[name] for name, _ in node.other if name != GPU_MEMORY},
        "labels": dict(node.labels),
        "cordoned": space.cordoned,
        "closing": space.closing,
        "incarnation": space.incarnation,
        "leases": len(space.leases),
        "tasks": sum(len(lease.members) for lease in space.leases.values()),
        "claims": [claim.entry.task.id for claim in space.claims],
    }
