"""How a function or class is found again in another process: by `module:qualname`, else it goes by value."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

#: Keys of functions that travel by value begin so.
PICKLED = "pickle:"


def main_name() -> str | None:
    """The module name by which the running script can be imported from its folder, None without a script.

    A script is `__main__` only in the process that was started with it; everywhere else it is a module of its
    file's name.
    """
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name) if spec.name != "__main__" else None
    file = getattr(main, "__file__", None)
    if not file or not os.path.isfile(file) or not file.endswith(".py"):
        return None  # a REPL, a notebook, `python -c`
    return re.sub(r"\W", "_", os.path.basename(file)[:-3])


def alias_main() -> None:
    """Let the script be found under its module's name, so that its classes are not imported a second time."""
    name = main_name()
    if name is not None:
        sys.modules.setdefault(name, sys.modules["__main__"])


def module_of(thing: Any) -> str | None:
    """Name of the module that a function or class can be imported from elsewhere, None if it cannot."""
    module = getattr(thing, "__module__", None)
    return main_name() if module == "__main__" else module


def key_of(function: Any) -> str | None:
    """`module:qualname` if an import leads back to this very function (or its task), else None."""
    qualname, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None)
    if not qualname or "<" in qualname or not isinstance(module, str) or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if found is not function and unwrap(found) is not function:
        return None
    name = module_of(function)
    return None if name is None else f"{name}:{qualname}"


def unwrap(thing: Any) -> Any:
    """The plain function inside a task or a workflow; anything else as it is."""
    from headway.authoring.decorators import TaskFunction, WorkflowFunction

    return thing.function if isinstance(thing, TaskFunction | WorkflowFunction) else thing


def by_name(module: str, qualname: str) -> Any:
    """What `key_of` named. In the process of the script itself that is the script, not a second copy."""
    if module == main_name() and module not in sys.modules:
        found: Any = sys.modules["__main__"]
    else:
        found = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
