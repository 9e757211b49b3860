"""Values that a DAG file says without being run: literals, names of them, `timedelta(...)`; and the options made of them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from headway.domain.rules import RULES

_UNITS = {"weeks": 604800, "days": 86400, "hours": 3600, "minutes": 60, "seconds": 1, "milliseconds": 0.001}
#: What says nothing here and is left out with a note.
DROPPED = frozenset((
    "owner", "start_date", "end_date", "email", "email_on_failure", "email_on_retry", "tags", "description", "doc_md", "doc",
    "max_active_runs", "max_active_tasks", "concurrency", "dag", "queue", "weight_rule", "default_view", "orientation",
    "retry_exponential_backoff", "append_env", "show_return_value_in_logs", "dag_display_name", "task_display_name",
))  # fmt: skip
_PRESETS = {
    "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@once": None, "None": None,
}  # fmt: skip


class Unknown(Exception):
    """Something that cannot be read without running it, or that has no meaning here: the line, and why."""

    def __init__(self, node: ast.AST, why: str) -> None:
        super().__init__(why)
        self.line, self.why = getattr(node, "lineno", 0), why


def value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """A literal, a name of one, or `timedelta(...)` as seconds. Raises Unknown."""
    if isinstance(node, ast.Name):
        if node.id not in known:
            raise Unknown(node, f"the value of {node.id!r} is not known without running the file")
        return known[node.id]
    if isinstance(node, ast.Call) and called(node).rpartition(".")[2] == "timedelta":
        if len(node.args) > 1 or any(word.arg not in _UNITS for word in node.keywords):
            raise Unknown(node, "this timedelta cannot be read: write timedelta(minutes=5)")
        parts = [(word.arg or "", word.value) for word in node.keywords] + [
            ("days", arg) for arg in node.args
        ]
        return _plain(sum(_UNITS[unit] * value(amount, known) for unit, amount in parts))
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise Unknown(node, "a dict with ** is not known without running the file")
        return {
            value(key, known): value(one, known)
            for key, one in zip(node.keys, node.values, strict=True)
            if key
        }
    if isinstance(node, ast.List | ast.Tuple):
        return [value(one, known) for one in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        raise Unknown(node, f"`{ast.unparse(node)[:60]}` is not known without running the file") from None


def _plain(seconds: float) -> int | float:
    return int(seconds) if seconds == int(seconds) else seconds


def called(node: ast.expr) -> str:
    """`airflow.DAG` of a call of it; empty if what is called has no such name."""
    return (
        ast.unparse(node.func)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        else ""
    )


def schedule(node: ast.expr, known: Mapping[str, Any]) -> str | int | None:
    """A cron expression, seconds, or None."""
    found = value(node, known)
    if found is None or (isinstance(found, int | float) and not isinstance(found, bool)):
        return None if found is None else int(found)
    if isinstance(found, str) and found.startswith("@"):
        if found not in _PRESETS:
            raise Unknown(node, f"there is no schedule {found!r} here")
        return _PRESETS[found]
    if not isinstance(found, str):
        raise Unknown(node, "only cron expressions, presets and timedelta are read as a schedule")
    return found


def options(said: Mapping[str, tuple[ast.AST, Any]], notes: dict[str, None]) -> dict[str, Any]:
    """Options of an operator in Headway's words.

    Args:
        said: By Airflow's name: (where, value).
        notes: Takes what was left out.

    Raises:
        Unknown: One that means something and has no counterpart.
    """
    found: dict[str, Any] = {}
    retry: dict[str, Any] = {}
    for name, (node, one) in said.items():
        if name == "retries":
            retry["limit"] = one
        elif name == "retry_delay":
            retry["delay"] = one
        elif name == "max_retry_delay":
            retry["ceiling"] = one
        elif name == "execution_timeout":
            found.update({"timeout": one} if one is not None else {})
        elif name == "priority_weight":
            found["priority"] = one
        elif name == "trigger_rule":
            found["rule"] = _rule(node, str(one).rpartition(".")[2].lower())
        elif name == "pool":
            found["resources"] = {one: said["pool_slots"][1] if "pool_slots" in said else 1}
            notes[f"pool {one!r} is a resource: give the nodes as much of it as the pool has slots"] = None
        elif name in ("env", "cwd"):
            found.update({name: one} if one is not None else {})
        elif name in DROPPED:
            notes[f"{name} has no meaning here and is left out"] = None
        elif name == "depends_on_past" and not one:
            continue
        elif name != "pool_slots":
            raise Unknown(node, f"{name} has no counterpart here")
    if retry.get("limit"):
        delay, ceiling = retry.get("delay", 300), retry.get("ceiling", 86400)
        found["retry"] = (retry["limit"], delay, max(ceiling, delay))
    return {name: one for name, one in found.items() if (name, one) != ("rule", RULES[0])}


def _rule(node: ast.AST, rule: str) -> str:
    if rule not in RULES:
        raise Unknown(node, f"trigger_rule {rule!r} has no counterpart here: there are {', '.join(RULES)}")
    return rule
