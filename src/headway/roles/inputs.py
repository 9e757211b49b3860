"""What a task reads of others' results: which of them, and how many bytes lie on the nodes that made them.

Only results that are blobs count. Small ones travel inside messages, so they lie nowhere and take no time to bring.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from headway.bus.messages import Call


def read_by(call: Call) -> frozenset[str]:
    """The nodes of the graph whose results the call's arguments name; what it merely comes after is not among them."""
    return frozenset(name for tree in (*call.args, *call.kwargs.values()) for name in _outputs(tree))


def _outputs(tree: Mapping[str, Any]) -> Iterator[str]:
    if "output" in tree:
        yield tree["output"]
    parts = [*tree.get("list", ()), *tree.get("tuple", ()), *tree.get("dict", {}).values()]
    for part in parts:
        yield from _outputs(part)


def blob_size(name: str, ref: Any, names: frozenset[str]) -> int:
    """Bytes of a result, if it is a blob and of one of those nodes; else 0."""
    # Of an item the last index is its own; one further left belongs to the task that called it (`fan[3].load[2]`).
    node = name.rpartition("[")[0] if name.endswith("]") else name
    if not ref or node not in names:
        return 0
    ref = ref.get("*", ref)
    return int(ref.get("size") or 0) if ref.get("kind") == "blob" else 0


def held_inputs(run: str, inputs: Mapping[str, Any], names: frozenset[str]) -> tuple[tuple[str, int], ...]:
    """`Task.inputs`: the producers of the blobs among these, each with its bytes."""
    found = ((f"{run}/{name}", blob_size(name, ref, names)) for name, ref in inputs.items())
    return tuple((producer, size) for producer, size in found if size)
