"""`FILE[:WORKFLOW]` and its parameters, from the command line to a workflow object and values."""

from __future__ import annotations

import difflib
import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from headway.authoring.document_files import SUFFIXES
from headway.errors import HeadwayError, Invalid, NotFound

if TYPE_CHECKING:
    from headway.authoring.decorators import WorkflowFunction
    from headway.authoring.tracing import Traced


def load(target: str) -> WorkflowFunction[..., Any]:
    """The workflow that a target names.

    Args:
        target: `FILE`, where the file holds one workflow, or `FILE:NAME`; of Python, or a document.

    Raises:
        NotFound: There is no such file, or no such workflow in it.
        Invalid: The file cannot be imported, or it is not clear which workflow is meant.
    """
    path, name = _split(target)
    if path.suffix in SUFFIXES:
        from headway.authoring.documents import load as load_document

        found = load_document(path)
        if name is not None and name != found.name:
            raise NotFound(f"there is no workflow {name!r} in {path.name}", hint=f"it holds: {found.name}")
        return found
    module = _import(path)
    return _choose(path, _workflows(module), name)


def _split(target: str) -> tuple[Path, str | None]:
    text, colon, name = target.rpartition(":")
    if not colon or Path(target).exists():
        text, name = target, ""
    path = Path(text)
    if text.startswith("-"):
        raise Invalid(
            f"there is no option {text}", hint="the file comes first: headway run flow.py --name value"
        )
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        near = difflib.get_close_matches(path.name, [p.name for p in folder.glob("*.py")], n=1)
        raise NotFound(
            f"there is no file {text!r}" if not path.is_dir() else f"{text!r} is a folder",
            hint=f"did you mean {folder / near[0]}?"
            if near
            else "give the path of a Python file: headway run flow.py",
        )
    if path.suffix != ".py" and path.suffix not in SUFFIXES:
        raise Invalid(
            f"{text!r} is not a Python file",
            hint=f"give a .py file that holds a @workflow, or a document ({', '.join(SUFFIXES)})",
        )
    return path, name or None


def _import(path: Path) -> ModuleType:
    """Import the file under its own name from its own folder, as `python FILE` would find its neighbours."""
    path = path.resolve()
    name = re.sub(r"\W", "_", path.stem)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != str(path):
        raise Invalid(
            f"{path.name} has the name of a module that is loaded already", hint=f"rename it: {name}_flow.py"
        )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _import_failed(path, error) from error
    return module


def _import_failed(path: Path, error: BaseException) -> Exception:
    if isinstance(error, HeadwayError):
        error.args = (f"{path.name}: {error.message}",)
        error.message = error.args[0]
        return error
    if isinstance(error, ModuleNotFoundError):
        top = (error.name or "").partition(".")[0]
        return Invalid(
            f"{path.name} needs the module {error.name!r}, which is not installed here",
            hint=f"install it into this environment: {Path(sys.executable).name} -m pip install {top}",
            module=error.name,
        )
    if isinstance(error, SyntaxError):
        return Invalid(
            f"{error.filename}:{error.lineno}: {error.msg}", hint=(error.text or "").strip() or None
        )
    return _raised(path, error, "raised at its import")


def _raised(path: Path, error: BaseException, how: str) -> Invalid:
    """What a person's own code raised: at which of its lines, and what stands there."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    where = f"{path.name}:{frames[-1].lineno}" if frames else path.name
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Invalid(f"{where} {how}: {what}", hint=frames[-1].line if frames else None)


def trace(workflow: WorkflowFunction[..., Any], params: dict[str, Any], *, fresh: bool = False) -> Traced:
    """The workflow's graph; what its body raises is the person's to correct, not a fault of ours.

    Args:
        fresh: Nothing is taken from a cache.

    Raises:
        Invalid: Its body raised, at this line.
    """
    try:
        traced = workflow.trace(**params)
    except HeadwayError:
        raise
    except Exception as error:
        path = Path(workflow.function.__code__.co_filename)
        raise _raised(path, error, f"raised while workflow {workflow.name!r} was traced") from error
    if fresh:
        from headway.authoring import caching

        traced = replace(traced, workflow=caching.fresh(traced.workflow))
    return traced


def _workflows(module: ModuleType) -> dict[str, WorkflowFunction[..., Any]]:
    """Those defined in the file itself; if there are none, those it imports."""
    from headway.authoring.decorators import WorkflowFunction

    found = {name: thing for name, thing in vars(module).items() if isinstance(thing, WorkflowFunction)}
    own = {name: thing for name, thing in found.items() if thing.function.__module__ == module.__name__}
    return own or found


def _choose(
    path: Path, found: dict[str, WorkflowFunction[..., Any]], name: str | None
) -> WorkflowFunction[..., Any]:
    if not found:
        raise NotFound(
            f"there is no workflow in {path.name}",
            hint="write @workflow above the function that calls the tasks",
        )
    if name is not None:
        if name in found:
            return found[name]
        near = difflib.get_close_matches(name, found, n=1)
        hint = f"did you mean {path.name}:{near[0]}?" if near else f"it holds: {', '.join(found)}"
        raise NotFound(f"there is no workflow {name!r} in {path.name}", hint=hint)
    distinct = {id(thing): key for key, thing in found.items()}
    if len(distinct) == 1:
        return found[next(iter(distinct.values()))]
    if path.stem in found:
        return found[path.stem]
    raise Invalid(
        f"{path.name} holds several workflows: {', '.join(found)}",
        hint=f"name one: {path.name}:{next(iter(found))}",
    )


def parameters(
    workflow: WorkflowFunction[..., Any],
    given: Sequence[str],
    extra: Sequence[str],
    options: Sequence[str] = (),
) -> dict[str, Any]:
    """Parameters typed as `-p name=value` and as `--name value`, as the values the workflow wants.

    Args:
        workflow: Whose they are.
        given: `name=value` texts.
        extra: What the command line did not know.
        options: Options of the command itself, to suggest when one was mistyped.
    """
    texts: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Invalid(f"-p {text!r} is not name=value", hint="write -p folds=5")
        texts[name.replace("-", "_")] = value
    texts |= _from_extra(extra, set(workflow.parameters))
    unknown = [name for name in texts if name not in workflow.parameters]
    if unknown:
        wrong = "--" + unknown[0].replace("_", "-")
        near = difflib.get_close_matches(
            wrong, [*options, *("--" + n.replace("_", "-") for n in workflow.parameters)], n=1
        )
        if near and near[0] in options:
            raise Invalid(f"there is no option {wrong}", hint=f"did you mean {near[0]}?")
    return workflow.parse(texts)


def _from_extra(extra: Sequence[str], known: set[str]) -> dict[str, str]:
    """`--name value`, `--name=value`, `--flag` and `--no-flag`."""
    texts: dict[str, str] = {}
    rest = list(extra)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise Invalid(
                f"{word!r} is not expected here", hint="parameters are written --name value, or -p name=value"
            )
        name, equals, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if not equals:
            if rest and not rest[0].startswith("--"):
                value = rest.pop(0)
            elif name.startswith("no_") and name not in known:
                name, value = name[3:], "false"
            else:
                value = "true"
        texts[name] = value
    return texts
