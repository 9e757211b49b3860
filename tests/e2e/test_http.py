"""The HTTP interface, spoken without the client: who is let in, what a refusal looks like, keys and event streams."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from headway import Client
from headway.client.packing import pack

from .conftest import PATIENCE, Home


@dataclass(frozen=True)
class Answer:
    """Of one request."""

    status: int
    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def ask(service: Home) -> Iterator[Callable[..., Answer]]:
    """`ask("GET", "/v1/runs", token=…, Origin=…)`; the right token unless another is given."""
    where = urlsplit(json.loads((service.state / "service.json").read_text())["url"]).netloc
    right = (service.state / "token").read_text().strip()

    def asking(method: str, path: str, body: Any = None, token: str | None = right, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(where, timeout=PATIENCE)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, content, headers)
        got = connection.getresponse()
        answer = Answer(got.status, got.headers.get_content_type(), got.read(), dict(got.headers))
        connection.close()
        return answer

    return asking


REFUSALS: dict[str, tuple[dict[str, Any], int, str]] = {
    "no token": ({"token": None}, 401, "denied"),
    "a wrong token": ({"token": "x"}, 401, "denied"),
    "a page of another origin": ({"Origin": "http://evil.example"}, 403, "forbidden"),
    "a page that knows no token": ({"token": None, "Origin": "http://evil.example"}, 403, "forbidden"),
    "a page from a file": ({"Origin": "null"}, 403, "forbidden"),
    "a rebound name": ({"Host": "evil.example"}, 403, "forbidden"),
}


@pytest.mark.parametrize("who", REFUSALS)
def test_who_is_not_let_in(ask: Callable[..., Answer], client: Client, flows: ModuleType, who: str) -> None:
    """A web page may post to the loopback port; what it posts is a valid submission."""
    given, status, code = REFUSALS[who]
    packed = pack(flows.trivial, (), {})
    for sha, data in packed.blobs.items():
        assert ask("PUT", f"/v1/blobs/{sha}", data).status in (200, 201)
    refused = ask("POST", "/v1/runs", packed.body, **given)
    assert (refused.status, refused.kind, refused.json["code"]) == (status, "application/problem+json", code)
    assert refused.json["hint"]
    assert packed.body["run"] not in [run["id"] for run in client.runs()]
    assert ask("POST", "/v1/runs", packed.body).status == 201, (
        "the same is taken from a program with the token"
    )


def test_no_answer_lets_other_origins_read(ask: Callable[..., Answer]) -> None:
    asked = ask(
        "OPTIONS", "/v1/runs", None, Origin="http://evil.example", Access_Control_Request_Method="POST"
    )
    assert asked.status == 403
    for answer in (asked, ask("GET", "/v1/runs")):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/runs", b"{", 400, "malformed"),
        ("POST", "/v1/runs", {}, 422, "invalid"),
        ("GET", "/v1/runs?limit=many", None, 422, "invalid"),
        ("GET", "/v1/runs/nobody", None, 404, "not_found"),
        ("GET", "/v1/nothing", None, 404, "no_route"),
        ("DELETE", "/v1/runs", None, 405, "wrong_method"),
    ],
)
def test_every_refusal_is_a_problem_document(
    ask: Callable[..., Answer], method: str, path: str, body: Any, status: int, code: str
) -> None:
    answer = ask(method, path, body)
    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert answer.json["type"] == f"urn:headway:problem:{code}"
    assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert answer.json["detail"]


def test_a_key_makes_a_repetition_harmless(
    ask: Callable[..., Answer], client: Client, flows: ModuleType
) -> None:
    packed, other = pack(flows.trivial, (), {}), pack(flows.trivial, (), {})
    different = pack(flows.touches, ("/nowhere/at/all",), {})
    for sha, data in (packed.blobs | different.blobs).items():
        ask("PUT", f"/v1/blobs/{sha}", data)
    first = ask("POST", "/v1/runs", packed.body, Idempotency_Key="nightly")
    again = ask("POST", "/v1/runs", other.body, Idempotency_Key="nightly")
    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"] == packed.body["run"]
    assert ask("POST", "/v1/runs", different.body, Idempotency_Key="nightly").status == 409
    runs = [run["id"] for run in client.runs()]
    assert runs.count(packed.body["run"]) == 1
    assert other.body["run"] not in runs
    assert different.body["run"] not in runs


def test_events_tell_a_run_from_its_beginning_to_its_end(
    ask: Callable[..., Answer], client: Client, flows: ModuleType
) -> None:
    run = client.submit(flows.everything, n=3)
    stream = ask("GET", f"/v1/runs/{run.id}/events")
    assert (stream.status, stream.kind) == (200, "text/event-stream")
    events = [
        {name: value for name, _, value in (line.partition(": ") for line in block.splitlines())}
        for block in stream.body.decode().strip().split("\n\n")
        if not block.startswith(":")
    ]
    assert events[-1]["event"] == "end"
    last = json.loads(events[-1]["data"])
    assert (last["id"], last["state"]) == (run.id, "finished")
    assert {event["event"] for event in events[:-1]} <= {"run", "task"}
    if len(events) > 1:  # it had not ended when the stream began
        assert events[0]["event"] == "run"
    numbers = [int(event["id"]) for event in events if "id" in event]
    assert numbers == sorted(set(numbers))


def test_the_interface_describes_itself(ask: Callable[..., Answer]) -> None:
    described = ask("GET", "/v1/openapi.json").json
    assert described["openapi"].startswith("3.")
    assert {"/v1/runs", "/v1/runs/{id}/events", "/v1/tasks/{run}/{name}/why"} <= set(described["paths"])
