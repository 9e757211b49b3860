"""Loaded by schemathesis: what our API promises of every error, beyond what its OpenAPI document can say."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """A call may wait for up to a minute for a run's end; a fuzz has no time for that."""
    try:
        if case.query and float(case.query["wait"]) > 0.5:
            case.query["wait"] = 0.5
    except (KeyError, TypeError, ValueError):
        return


@schemathesis.check
def errors_are_problems(ctx: Any, response: Any, case: Any) -> None:
    """RFC 9457, with the words a person needs."""
    if response.status_code < 400:
        return
    kind = response.headers.get("content-type", [""])[0]
    assert kind.startswith("application/problem+json"), f"an error of type {kind}"
    if case.method != "HEAD":
        body = response.json()
        assert {"type", "title", "status", "detail", "code"} <= set(body), body
        assert body["status"] == response.status_code
        assert body["detail"], "an error without words"
        assert "Traceback" not in response.text
