"""A workflow object and its parameters, made into what is posted: graph, values by reference, sources by
content.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: 32 letters, without those that look alike.
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Submission:
    """Ready to be posted.

    Attributes:
        body: Of `POST /v1/runs`.
        blobs: What it refers to, by SHA-256; only what the service lacks is sent.
    """

    body: dict[str, Any]
    blobs: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def run(self) -> str:
        """The id that the run will have."""
        return str(self.body["run"])


def new_run_id(name: str) -> str:
    """`train-k7q2m9x4ab`: the name for people, 50 bits of chance to be unique for ever."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-._")[:60] or "run"
    return readable + "-" + "".join(_ALPHABET[byte & 31] for byte in secrets.token_bytes(10))


def missing_of(fields: Mapping[str, Any], submission: Submission) -> list[str]:
    """The blobs that the service asks for and we have."""
    wanted = fields.get("missing")
    return [sha for sha in wanted if sha in submission.blobs] if isinstance(wanted, list) else []
