"""Loads an agent's graph from where content lies: the project folder, the source tree, or the wheel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Protocol

from headway import content
from headway.errors import HeadwayError, Invalid


class Graph(Protocol):
    """A compiled LangGraph graph, as much of it as is used."""

    def invoke(self, state: dict[str, Any]) -> dict[str, Any]:
        """Takes `{"digest": …}`; gives a state with `proposals`."""
        ...


def load(name: str, project: Path | None = None) -> Graph:
    """The graph of the agent `name`: the attribute `graph` of `agents/<name>/graph.py`, compiled.

    Raises:
        NotFound: There is no such file; the places are named.
        Invalid: It cannot be imported, or holds no graph.
    """
    path = content.find("agents", name, project) / "graph.py"
    module_name = f"headway_agent_{name}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise Invalid(f"{path} is not there", hint="an agent is a folder with a graph.py in it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except HeadwayError:
        raise
    except Exception as error:
        raise Invalid(
            f"{path} cannot be imported: {type(error).__name__}: {error}",
            hint="pip install 'headway[agents]'" if isinstance(error, ModuleNotFoundError) else None,
        ) from error
    graph: Any = getattr(module, "graph", None)
    if not callable(getattr(graph, "invoke", None)):
        raise Invalid(f"{path} holds no compiled graph", hint="end it with: graph = builder.compile()")
    found: Graph = graph
    return found
