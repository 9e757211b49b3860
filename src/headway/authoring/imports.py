"""Which files of a project a source needs: its import statements, also in functions, followed through it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_files(root: Path, sources: Iterable[Path]) -> set[Path]:
    """All files under the root that these sources import, directly or not, packages' `__init__` included."""
    found: set[Path] = set()
    todo = list(sources)
    for source in list(todo):
        todo.extend(_package_files(root, source))
    while todo:
        source = todo.pop()
        if source in found:
            continue
        found.add(source)
        for name in _imports(root, source):
            todo.extend(_files(root, name))
    return found


def _package_files(root: Path, source: Path) -> Iterator[Path]:
    """The `__init__` of every package a file lies in."""
    for folder in source.parents:
        if folder == root or not folder.is_relative_to(root):
            return
        init = folder / "__init__.py"
        if init.is_file():
            yield init


def _files(root: Path, name: str) -> Iterator[Path]:
    """Files behind a dotted name: the packages on the way and the module itself, as far as they are there."""
    place = root
    for part in name.split("."):
        place = place / part
        if (init := place / "__init__.py").is_file():
            yield init
        elif (module := place.with_name(f"{part}.py")).is_file():
            yield module
            return
        elif not place.is_dir():
            return


def _imports(root: Path, source: Path) -> Iterator[str]:
    """Dotted names that a file imports; of `from a import b` both `a` and `a.b`, as b may be a module."""
    try:
        tree = ast.parse(source.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    package = source.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *(node.module.split(".") if node.module else ())))
            if base:
                yield base
            yield from (
                f"{base}.{alias.name}" if base else alias.name for alias in node.names if alias.name != "*"
            )
