"""Points in time as a person writes them."""

from __future__ import annotations

import time
from datetime import datetime

from headway.domain.units import parse_time
from headway.errors import Invalid


def moment_of(text: str, what: str) -> int:
    """`2026-03-01T10:30` (local time unless it says a zone), `10min ago`, `-10min` -> microseconds since the epoch.

    Raises:
        Invalid: It is neither, or it is still to come.
    """
    asked = text.strip()
    now = time.time_ns() // 1000
    try:
        if asked.startswith("-"):
            found = now - parse_time(asked[1:], what)
        elif asked.endswith("ago"):
            found = now - parse_time(asked[:-3].strip(), what)
        else:
            found = round(datetime.fromisoformat(asked).timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError, Invalid):
        raise Invalid(
            f"{what} {text!r} is no point in time",
            hint=f"write {what} 2026-03-01T10:30 or {what} '10min ago'",
        ) from None
    if not 0 <= found <= now:
        when = "still to come" if found > now else "before 1970"
        raise Invalid(f"{what} {text!r} is {when}", hint=f"write e.g. {what} '10min ago'")
    return found
