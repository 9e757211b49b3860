"""The worker's side of a bundle: unpacked once, imported from there, one at a time in `sys.modules`."""

from __future__ import annotations

import importlib
import io
import os
import pickle
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.authoring import names
from headway.errors import HeadwayError, Invalid

FUNCTIONS = "functions.pkl"
#: A bundle is sources; whoever has more put data where code belongs.
SIZE_MOST = 64 * 2**20
FILES_MOST = 10_000


class BundleError(HeadwayError):
    """A bundle that cannot be unpacked, or a function that cannot be loaded from one."""

    code = "bundle_error"


_importing = 0
#: Bundle -> the modules that were imported from it; those of the active one are in `sys.modules`.
_modules: dict[str, dict[str, ModuleType]] = {}
_functions: dict[tuple[str, str], Callable[..., Any]] = {}
_active: str | None = None


@contextmanager
def _loading() -> Iterator[None]:
    global _importing
    _importing += 1
    try:
        yield
    finally:
        _importing -= 1


def refuse_while_loading(what: str) -> None:
    """A script that starts its workflow whenever it is imported would start it again in every worker."""
    if _importing:
        raise Invalid(
            f"{what} is called while its file is imported by a worker",
            hint='put it under `if __name__ == "__main__":`',
        )


def unpack(data: bytes, folder: str | Path) -> Path:
    """Unpack a bundle into a folder that is complete or not there.

    Args:
        data: The zip.
        folder: Where; if it exists, it is taken as it is, as the content decides its name.

    Raises:
        BundleError: Not a zip, a path that leads outside, or more than a bundle may hold.
    """
    target = Path(folder)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpack-", dir=target.parent))
    try:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                _extract(archive, scratch)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise BundleError(f"the bundle {target.name} is not a readable zip: {error}") from error
        scratch.chmod(0o755)
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():  # else somebody else was as quick
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _extract(archive: zipfile.ZipFile, scratch: Path) -> None:
    entries, left = archive.infolist(), SIZE_MOST
    if len(entries) > FILES_MOST:
        raise BundleError(f"the bundle holds {len(entries)} files, more than {FILES_MOST}")
    for entry in entries:
        parts = entry.filename.split("/")
        if (
            entry.is_dir()
            or "\\" in entry.filename
            or any(part in ("", ".", "..") or ":" in part for part in parts)
        ):
            raise BundleError(f"the bundle holds the path {entry.filename!r}, which may lead outside")
        path = scratch.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(entry) as source:
            content = source.read(left + 1)  # what the header says about the size need not be true
        left -= len(content)
        if left < 0:
            raise BundleError(f"the bundle unpacks to more than {SIZE_MOST} bytes")
        path.write_bytes(content)


def load_function(bundle_dir: str | Path, key: str) -> Callable[..., Any]:
    """The plain function of a key, with the bundle's modules the ones that are imported.

    Call it before each task, not once per function: what the task imports while it runs must come from its
    own bundle too.

    Args:
        bundle_dir: The unpacked bundle.
        key: `module:qualname` or `pickle:<name>`.

    Raises:
        BundleError: The module or the function is not there, or the module fails when imported; names module
            and bundle.
    """
    folder = os.path.realpath(bundle_dir)
    _activate(folder)
    function = _functions.get((folder, key))
    if function is None:
        with _loading():
            function = _unpickle(folder, key) if key.startswith(names.PICKLED) else _import(folder, key)
        _functions[folder, key] = function
    return function


def _activate(folder: str) -> None:
    """Put the modules of another bundle aside, and this one's back."""
    global _active
    if folder == _active:
        return
    if _active is not None:
        prefix = _active + os.sep
        aside = {
            name: module for name, module in list(sys.modules.items()) if _file(module).startswith(prefix)
        }
        _modules[_active] = aside
        for name in aside:
            del sys.modules[name]
        if _active in sys.path:
            sys.path.remove(_active)
    # What a worker has installed under the same name must not win over what was submitted.
    sys.path.insert(0, folder)
    sys.modules.update(_modules.get(folder, {}))
    importlib.invalidate_caches()
    _active = folder


def _file(module: ModuleType) -> str:
    found = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
    return found if isinstance(found, str) else ""


def _import(folder: str, key: str) -> Callable[..., Any]:
    module_name, _, qualname = key.partition(":")
    where = f"bundle {os.path.basename(folder)[:12]}"
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise BundleError(
            f"{key} needs the module {error.name!r}, which is neither in {where} nor installed on this node",
            hint=f"install {_package(error) or module_name!r} on the node, or keep it beside the workflow",
            module=error.name,
        ) from error
    except HeadwayError:
        raise
    except Exception as error:
        raise BundleError(
            f"the module {module_name!r} of {where} fails when it is imported: "
            f"{type(error).__name__}: {error}"
        ) from error
    for part in qualname.split("."):
        found = getattr(found, part, None)
    function = names.unwrap(found)
    if not callable(function):
        raise BundleError(f"the module {module_name!r} of {where} has no function {qualname!r}")
    return function  # type: ignore[no-any-return]


def _package(error: ModuleNotFoundError) -> str:
    """What one would install for the module that is missing."""
    return (error.name or "").partition(".")[0]


def _unpickle(folder: str, key: str) -> Callable[..., Any]:
    path = Path(folder, FUNCTIONS)
    try:
        functions: dict[str, bytes] = pickle.loads(path.read_bytes())
        function: Callable[..., Any] = pickle.loads(functions[key])
    except (OSError, KeyError) as error:
        raise BundleError(f"bundle {os.path.basename(folder)[:12]} holds no function {key!r}") from error
    except Exception as error:
        raise BundleError(
            f"the function {key!r} cannot be read here: {type(error).__name__}: {error}",
            hint="define it in a file: then it travels as source",
        ) from error
    return function


def import_file(path: str | Path) -> ModuleType:
    """Import a workflow's file as its bundle will see it: from its project's folder, under its own name.

    Raises:
        Invalid: No such file, not Python, or it needs a module that is missing (named).
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise Invalid(
            f"there is no file {str(path)!r}", hint="give the path of a Python file with a @workflow"
        )
    if file.suffix != ".py":
        raise Invalid(f"{str(path)!r} is not a Python file")
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    name = ".".join(parts)
    present = sys.modules.get(name)
    if present is not None and os.path.realpath(_file(present)) == str(file):
        return present
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return (
            _import_as(name, file)
            if present is not None or "." in file.stem
            else importlib.import_module(name)
        )
    except ModuleNotFoundError as error:
        raise Invalid(
            f"{path} needs the module {error.name!r}, which is not installed",
            hint=f"install it: pip install {_package(error)}",
            module=error.name,
        ) from error
    except SyntaxError as error:
        raise Invalid(
            f"{error.filename}, line {error.lineno}: {error.msg}", hint="correct it, then run again"
        ) from error


def _import_as(name: str, file: Path) -> ModuleType:
    """A file whose name is taken by another module (or holds dots) is imported under a name of its own."""
    name = re.sub(r"\W", "_", file.stem)
    while name in sys.modules and os.path.realpath(_file(sys.modules[name])) != str(file):
        name += "_"
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
