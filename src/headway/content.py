"""Where workflows and agents lie: the project folder first, then the source tree, then the copies that a wheel carries."""

from __future__ import annotations

from pathlib import Path

from headway.errors import NotFound


def find(kind: str, name: str, project: Path | None = None) -> Path:
    """The file or folder `name` of a kind (`workflows`, `agents`).

    Args:
        project: The project folder; the current one by default.

    Raises:
        NotFound: It is in none of the places; they are named.
    """
    places = [(project or Path.cwd()) / kind / name, *(root / kind / name for root in _built_in())]
    for place in places:
        if place.exists():
            return place
    looked = ", ".join(str(place.parent) for place in places)
    raise NotFound(f"there is no {kind}/{name}", hint=f"looked in {looked}")


def _built_in() -> tuple[Path, ...]:
    """The tree of an editable install, and the package's own folder in a wheel."""
    package = Path(__file__).resolve().parent
    return package.parent.parent, package / "content"
