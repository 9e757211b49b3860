"""The JSON Schema of a workflow document, for editors; what it cannot say (names, circles, types) the reader says."""

from __future__ import annotations

from typing import Any

from headway.authoring.documents import FIELDS, TASK_FIELDS, TYPES
from headway.authoring.options import TASK_OPTIONS, VARIANT_OPTIONS, WORKFLOW_OPTIONS
from headway.domain.beside import BESIDE_FIELDS
from headway.domain.rules import RULES

_TEXT, _NUMBER, _WHOLE, _TRUTH = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))
_AMOUNT = {"type": ["number", "string"]}
_AMOUNTS = {"type": "object", "additionalProperties": _AMOUNT}
_TEXTS: dict[str, Any] = {"type": ["string", "array"], "items": _TEXT}
_RETRY = {
    "type": "object",
    "properties": {"limit": _WHOLE, "on": _TEXTS, "delay": _AMOUNT, "ceiling": _AMOUNT},
    "additionalProperties": False,
}
#: Options of a task, by what they take; `amount` is a number or a text with a unit.
_OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("cpu", "memory", "gpu", "gpu_memory", "disk", "network"), _AMOUNT),
    **dict.fromkeys(("estimate", "timeout", "restart", "deadline", "cost"), _AMOUNT),
    **dict.fromkeys(("resources", "rates", "env"), _AMOUNTS),
    **dict.fromkeys(("priority", "retries", "slots"), _WHOLE),
    **dict.fromkeys(("at_most_once", "gang", "dynamic"), _TRUTH),
    **dict.fromkeys(("cwd", "venv", "name"), _TEXT),
    **dict.fromkeys(("where", "within", "pool", *BESIDE_FIELDS), _TEXTS),
    "requirements": {"type": "array", "items": _TEXT},
    "cache": {"type": ["boolean", "number", "string"]},
    "version": {"type": ["integer", "string"]},
    "rule": {"enum": list(RULES)},
    "retry": _RETRY,
}  # fmt: skip


def schema() -> dict[str, Any]:
    """The whole document. Every option of `@task` is in it: one that is new is a KeyError here, which a test meets."""
    variant = {name: _OPTIONS[name] for name in VARIANT_OPTIONS}
    options = {name: _OPTIONS[name] for name in TASK_OPTIONS if name != "variants"}
    options["variants"] = {"type": "array", "items": _object(variant)}
    own = {
        "name": _TEXT, "shell": _TEXT, "function": {"type": "string", "pattern": ".+:.+"}, "args": {"type": "array"},
        "map": {"type": ["array", "object"]}, "with": {"type": "object"}, "after": _TEXTS,
        "when": _object({"output": _TEXT, "path": {"type": ["array", "string", "integer"]}, "be": _TRUTH}, ["output"]),
    }  # fmt: skip
    task = _object({**options, **{name: own[name] for name in TASK_FIELDS}})
    task["oneOf"] = [{"required": ["shell"]}, {"required": ["function"]}]
    parameter = _object({"type": {"enum": list(TYPES)}, "default": {}})
    whole = {
        "name": _TEXT, "tenant": _TEXT, "weight": _AMOUNT, "deadline": _AMOUNT, "result": {},
        "params": {
            "type": "object",
            "additionalProperties": {
                "anyOf": [parameter, {"type": ["string", "number", "boolean", "array", "null"]}]
            },
        },
        "tasks": {
            "anyOf": [
                {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/task"}},
                {"type": "array", "minItems": 1, "items": {"allOf": [{"$ref": "#/$defs/task"}, {"required": ["name"]}]}},
            ]
        },
    }  # fmt: skip
    assert set(FIELDS) == set(whole) >= set(WORKFLOW_OPTIONS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A workflow of Headway, as a document",
        **_object({name: whole[name] for name in FIELDS}, ["tasks"]),
        "$defs": {"task": task},
    }


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": required} if required else made
