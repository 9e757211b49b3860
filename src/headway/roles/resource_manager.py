"""The resource manager's loop: which nodes there are. Executors say hello; those whose lease ran out are lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from headway.bus.messages import HelloBody, NodesBody
from headway.bus.names import PLANNER, RESOURCE_MANAGER, SCHEDULER
from headway.bus.topics import executor_name
from headway.errors import Conflict, HeadwayError, Invalid, NotFound
from headway.roles.step import CALL, NONSENSE, Input, Output, Step


class ResourceManager:
    """Knows every node that said hello, and tells scheduler and planner of each change."""

    name = RESOURCE_MANAGER
    logic = "1"

    def __init__(self) -> None:
        self.nodes: dict[str, HelloBody] = {}
        self.cordoned: dict[str, bool] = {}

    def step(self, now: int, inputs: Sequence[Input]) -> Step:
        """Fold hellos and losses into the list of nodes; publish the difference."""
        step, news = Step(), NodesBody()
        for item in inputs:
            if item.source == CALL:
                step.replies[item.seq] = self._call(item, news)
            elif item.kind == "hello":
                try:
                    self._hello(item.source, HelloBody.model_validate_json(item.body), news)
                except NONSENSE as error:
                    step.refuse(item, error)
        if news.joined or news.lost or news.cordoned:
            step.outputs.append(Output("nodes", (SCHEDULER, PLANNER), "nodes", to_json(news)))
        return step

    def wake_at(self) -> int | None:
        return None

    def _hello(self, source: str, hello: HelloBody, news: NodesBody) -> None:
        """An executor speaks for its own node only: `executor-a` for `a`."""
        if source != executor_name(hello.node.name):
            return
        if not hello.incarnation.isdigit():
            raise Invalid(f"incarnation {hello.incarnation!r} is not a number")
        known = self.nodes.get(hello.node.name)
        self.nodes[hello.node.name] = hello
        if known is None or known.incarnation != hello.incarnation or known.node != hello.node:
            news.joined.append(hello)
            if self.cordoned.get(hello.node.name):
                news.cordoned.append((hello.node.name, True))

    def _call(self, item: Input, news: NodesBody) -> dict[str, Any] | HeadwayError:
        body: dict[str, Any] = json.loads(item.body)
        known = self.nodes.get(body["node"])
        if item.kind == "expired":
            if known is None or known.incarnation != body["incarnation"]:
                return Conflict(f"{body['node']} has another incarnation by now")
            del self.nodes[body["node"]]
            news.lost.append((body["node"], body["incarnation"]))
            return body
        if item.kind == "cordon":
            if known is None:
                return NotFound(f"there is no node {body['node']!r}", hint="`headway nodes` lists them")
            self.cordoned[body["node"]] = body["cordoned"]
            news.cordoned.append((body["node"], body["cordoned"]))
            return body
        return Invalid(f"the resource manager knows no call {item.kind!r}")

    def snapshot(self) -> Any:
        return {"nodes": [hello.model_dump() for hello in self.nodes.values()], "cordoned": self.cordoned}

    def restore(self, tree: Any) -> None:
        self.nodes = {hello["node"]["name"]: HelloBody(**hello) for hello in tree["nodes"]}
        self.cordoned = dict(tree["cordoned"])
