"""`python -m headway.solvers`: answers problems, a line of JSON each, until its input ends.

A process of its own, so that a long search takes nothing from the service but idle processor time. A request is `{"problem",
"solver", "steps", "seed"}`, an answer what `Answer.encode` gives, or `{"error": text}`.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

from headway.core.joint.codec import problem_from_json
from headway.core.joint.port import Budget
from headway.errors import HeadwayError
from headway.solvers import named

#: Below everything else that is Headway's.
NICE = 10


def answer(line: bytes) -> bytes:
    """The answer to one request, or what is wrong with it."""
    try:
        asked = json.loads(line)
        problem = problem_from_json(asked["problem"])
        return named(asked["solver"]).solve(problem, Budget(asked["steps"], asked["seed"])).encode()
    except (HeadwayError, ValueError, TypeError, LookupError) as error:
        return json.dumps({"error": str(error)}).encode()


def main() -> None:
    """Until the end of the input."""
    with suppress(OSError):
        os.nice(NICE)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answer(line) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
