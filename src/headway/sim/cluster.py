"""The nodes that a simulation has: read from a file, or given.

TOML, with as many `[[node]]` tables as there are kinds:

    [[node]]
    name = "gpu"            # gpu-1, gpu-2, … when there are several
    count = 4
    cpu = 64
    memory = "256GiB"
    gpu = 8
    cost = 12.5             # an hour, each; any currency
    resources = { license = 1 }
    labels = { model = "V100" }

beside tables that `headway.toml` may have too, such as `[tenants.vision]`; or CSV with a header: `name, count,
cpu, memory, gpu, cost, model`, or Alibaba's `sn, cpu_milli, memory_mib, gpu, model`. Both may be gzipped.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from headway.core import standing
from headway.domain.resources import Demand, Node
from headway.domain.units import GPU_MEMORY, MILLI, parse_amount, parse_bytes, parse_milli
from headway.domain.where import Where
from headway.errors import Invalid, NotFound
from headway.sim.files import read_bytes, rows_of
from headway.sim.trace import Trace

#: A resource of this name stands for a choice of device models: `models:T4|P100`. See `Cluster.equipped`.
MODELS = "models:"
_FIELDS = (
    "name",
    "count",
    "cpu",
    "memory",
    "gpu",
    "gpu_memory",
    "cost",
    "model",
    "resources",
    "labels",
    "least",
    "most",
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes and what they cost.

    Attributes:
        prices: What an hour of each costs, in millionths of the currency; empty if nothing was said.
        tables: Standing orders, as `headway.toml` has them (`core.standing`): tenants, for instance.
    """

    name: str
    nodes: tuple[Node, ...]
    prices: tuple[int, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)

    def equipped(self, trace: Trace) -> Cluster:
        """The same with every choice of models that the trace asks for.

        A task that wants one of several device models demands `models:A|B`, as much as its GPUs; a node whose
        model is among them has as much of it as its GPUs, so it is never what runs out first.
        """
        wanted = sorted({n for job in trace.jobs for n, _ in job.task.demand.other if n.startswith(MODELS)})
        if not wanted:
            return self
        return replace(self, nodes=tuple(_equip(node, wanted) for node in self.nodes))

    def holds(self, demand: Demand, where: Where = ()) -> bool:
        """Whether any of the nodes, empty, could hold it and has the labels it wants."""
        return not all(node.refuses(demand, where) for node in self.nodes)


def _equip(node: Node, wanted: list[str]) -> Node:
    model = dict(node.labels).get("model", "")
    mine = [(n, node.gpus * MILLI) for n in wanted if model in n.removeprefix(MODELS).split("|")]
    return replace(node, other=tuple(sorted({**dict(node.other), **dict(mine)}.items())))


def uniform(nodes: int, *, cpu: int = 0, gpus: int = 0, memory: int = 0, name: str = "node") -> Cluster:
    """So many equal nodes: `cpu` cores, `memory` bytes."""
    made = (Node(f"{name}-{i + 1}", cpu * MILLI, memory, gpus) for i in range(nodes))
    return Cluster(name, tuple(made))


def read_cluster(path: Path) -> Cluster:
    """Reads a file of nodes.

    Raises:
        NotFound: There is no such file.
        Invalid: It says something else than nodes; the error names table and field.
    """
    rows, tables = read_tables(path)
    nodes: list[Node] = []
    prices: list[int] = []
    for number, row in enumerate(rows, 1):
        made, price = kind_of(row, f"{path.name}, node {number}")
        nodes += made
        prices += [price] * len(made)
    if not nodes:
        raise Invalid(f"{path} has no node", hint="write at least one [[node]] table")
    names = [node.name for node in nodes]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"{path} has two nodes {twice!r}", hint="give each kind another name")
    return Cluster(path.name.split(".")[0], tuple(nodes), tuple(prices) if any(prices) else (), tables)


def read_tables(path: Path) -> tuple[Iterable[Mapping[str, Any]], dict[str, Any]]:
    """The rows of nodes in a file as they stand there, and its other tables, which make sense."""
    if not path.exists():
        raise NotFound(f"there is no cluster file {path}", hint="name a TOML or CSV file of nodes")
    if ".csv" in path.suffixes:
        return rows_of(path), {}
    try:
        tables = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is no TOML: {error}", hint="see docs/how-to/simulate.md") from None
    rows = tables.pop("node", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Invalid(f"{path}: 'node' is not a list of tables", hint="write [[node]] above each kind")
    try:
        standing.events(tables)
    except Invalid as error:
        raise Invalid(f"{path}: {error.message}", hint=error.hint) from None
    return rows, tables


def kind_of(row: Mapping[str, Any], where: str) -> tuple[list[Node], int]:
    """The nodes that a row stands for, and the price of each in millionths an hour."""
    if "sn" in row:
        row = _openb(row)
    unknown = [name for name in row if name not in _FIELDS]
    if unknown:
        raise Invalid(f"{where}: no field {unknown[0]!r}", hint=f"known: {', '.join(_FIELDS)}")
    said = {name: value for name, value in row.items() if value not in ("", None)}
    try:
        count, gpus = int(said.get("count", 1)), int(said.get("gpu", 0))
        labels = {**said.get("labels", {}), **({"model": said["model"]} if "model" in said else {})}
        name = str(said.get("name", "node"))
        named = {
            **said.get("resources", {}),
            **({GPU_MEMORY: said[GPU_MEMORY]} if GPU_MEMORY in said else {}),
        }
        node = Node(
            name,
            parse_milli(said.get("cpu", 0), "cpu"),
            parse_bytes(_whole(said.get("memory", 0))),
            gpus,
            tuple(sorted((k, parse_amount(k, v)) for k, v in named.items())),
            tuple(sorted((str(k), str(v)) for k, v in labels.items())),
        )
        price = round(float(said.get("cost", 0)) * 1_000_000)
    except (TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"{where}: {error}", hint="see docs/how-to/simulate.md") from None
    except Invalid as error:
        raise Invalid(f"{where}: {error.message}", hint=error.hint) from None
    if count < 1 or gpus < 0 or price < 0:
        raise Invalid(f"{where}: count {count}, gpu {gpus}, cost {price / 1e6:g}", hint="at least one node")
    if "name" in row and count == 1:
        return [node], price
    return [replace(node, name=f"{name}-{i + 1}") for i in range(count)], price


def _whole(value: Any) -> Any:
    """A number of bytes from a CSV is a text."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _openb(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": row["sn"],
        "cpu": int(row["cpu_milli"]) / MILLI,
        "memory": int(row["memory_mib"]) << 20,
        "gpu": row["gpu"],
        "model": row.get("model", ""),
    }
