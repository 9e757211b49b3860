"""The submitter's side of a bundle: the sources a workflow needs, in a zip whose bytes depend on them only.

What was submitted is what runs, whatever happens to the files afterwards. Installed packages do not travel: a
node has its own. Functions that no import finds (lambdas, functions in functions, a REPL's, a notebook's)
travel by value.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.authoring import names
from headway.authoring.imports import imported_files
from headway.authoring.loading import FUNCTIONS, SIZE_MOST, BundleError, load_function, unpack
from headway.authoring.values import dumps
from headway.errors import HeadwayError

__all__ = ["Bundle", "BundleError", "load_function", "make_bundle", "unpack"]

#: The earliest time a zip can say; every entry says it, so that the bytes do not depend on when it was made.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Sources by content.

    Attributes:
        sha: SHA-256 of the data, in hexadecimal: the bundle's name.
        data: A zip.
    """

    sha: str
    data: bytes


def make_bundle(functions: Mapping[str, Callable[..., Any]]) -> Bundle:
    """Collect what these functions need.

    Args:
        functions: By key, as `Traced.functions` has them.

    Raises:
        BundleError: A function that travels by value cannot be pickled, or all is too large; names it.
    """
    files: dict[str, bytes] = {}
    for root in sorted(_projects(functions.values())):
        for inside, path in _files_of(root).items():
            files.setdefault(inside, path.read_bytes())
    pickled = {key: function for key, function in functions.items() if key.startswith(names.PICKLED)}
    if pickled:
        files[FUNCTIONS] = pickle.dumps(
            {key: _by_value(key, pickled[key]) for key in sorted(pickled)}, protocol=5
        )
    size = sum(map(len, files.values()))
    if size > SIZE_MOST:
        largest = max(files, key=lambda name: len(files[name]))
        raise BundleError(
            f"the workflow's sources are {size >> 20} MiB, more than {SIZE_MOST >> 20} MiB; "
            f"the largest is {largest}",
            hint="keep data out of the sources, and pass it as an argument",
        )
    data = _zip(files)
    return Bundle(hashlib.sha256(data).hexdigest(), data)


def _by_value(key: str, function: Callable[..., Any]) -> bytes:
    try:
        return dumps(function)
    except HeadwayError as error:
        name = key.removeprefix(names.PICKLED)
        raise BundleError(
            f"the function of task {name!r} has to travel by value, and cannot: {error.message}",
            hint="define it at the top level of a file, or keep what it refers to inside it",
        ) from error


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    # Stored and not compressed: another version of zlib would make other bytes of the same sources.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _projects(functions: Iterable[Callable[..., Any]]) -> set[Path]:
    """The folders from which the functions' modules are imported."""
    modules = (sys.modules.get(getattr(function, "__module__", None) or "") for function in functions)
    roots = (_root(module) for module in modules if module is not None)
    return {root for root in roots if root is not None}


def _root(module: ModuleType) -> Path | None:
    """The folder a module is imported from; None if it is installed, has no file, or is Headway's own."""
    path, name = _path(module), _name(module)
    if path is None or name is None or name.partition(".")[0] == "headway" or _installed(path):
        return None
    depth = name.count(".") + (path.name == "__init__.py")
    return path.parents[depth] if depth < len(path.parents) else None


def _name(module: ModuleType) -> str | None:
    return names.main_name() if module.__name__ == "__main__" else module.__name__


def _path(module: ModuleType) -> Path | None:
    """The module's source, links resolved, if it has one."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    return Path(_real(os.path.dirname(file)), os.path.basename(file))


#: Thousands of modules lie in a few hundred folders.
_real = functools.lru_cache(maxsize=4096)(os.path.realpath)


def _installed(path: Path) -> bool:
    if any(part in _INSTALLED for part in path.parts):
        return True
    if path.is_relative_to(_real(os.path.dirname(os.__file__))):
        return True
    return sys.prefix != sys.base_prefix and path.is_relative_to(_real(sys.prefix))


def _files_of(root: Path) -> dict[str, Path]:
    """Sources under a root by their place in the bundle: those loaded, and those they import anywhere."""
    loaded: dict[Path, str] = {}
    for module in list(sys.modules.values()):
        path = _path(module) if isinstance(module, ModuleType) else None
        if path is not None and path.is_relative_to(root) and path.is_file() and _root(module) == root:
            inside = _place(root, path, _name(module) or "")
            if inside is not None:
                loaded[path] = inside
    for path in imported_files(root, sorted(loaded)):
        if path not in loaded and not _installed(path):
            loaded[path] = path.relative_to(root).as_posix()
    return {loaded[path]: path for path in sorted(loaded)}


def _place(root: Path, path: Path, name: str) -> str | None:
    """Where in the bundle a file must lie to be imported by the name it was loaded by, or None."""
    inside = path.relative_to(root)
    parts = inside.with_suffix("").parts
    if ".".join(parts[:-1] if parts[-1] == "__init__" else parts) == name:
        return inside.as_posix()
    return f"{name}.py" if "." not in name and len(parts) == 1 else None
