"""Reads an Airflow DAG file by its syntax tree. Nothing of it is run, and whatever is not understood is refused with its line.

Understood: `DAG(...)` (as a context manager or a value) and `@dag`; `BashOperator`, `PythonOperator`, `EmptyOperator` and `@task`;
`>>`, `<<`, `chain`, `set_upstream`, `set_downstream`; results handed from one `@task` to another.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from headway.authoring.airflow.dag import Dag, Operator, Result
from headway.authoring.airflow.values import Unknown, called, options, schedule, value
from headway.errors import Invalid

_BASH, _PYTHON, _EMPTY = "BashOperator", "PythonOperator", ("EmptyOperator", "DummyOperator")
#: What an operator is called.
_LIKE = ("Operator", "Sensor")
_DAG_FIELDS = ("dag_id", "schedule", "schedule_interval", "timetable", "catchup", "default_args", "params")
#: Arguments by which Airflow hands a function what it knows of the run.
_CONTEXT = frozenset(("ti", "task_instance", "ds", "ds_nodash", "ts", "dag_run", "execution_date", "logical_date",
                      "data_interval_start", "data_interval_end", "context", "params", "macros", "conf"))  # fmt: skip
#: Refusals that are told at once.
_TOLD = 12


def read(path: Path) -> Dag:
    """The DAG in a file.

    Raises:
        Invalid: It is no Python, holds no DAG or several, or something that is not understood; each with line and reason.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text, str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from None
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Invalid(f"{path}:{getattr(error, 'lineno', None) or 1}: it is no Python: {error}") from None
    reader = _Reader(text)
    reader.module(tree.body)
    if not reader.wrong and not reader.dag.id:
        reader.wrong.append((1, "there is no DAG in it"))
    if not reader.wrong and not reader.dag.operators:
        reader.wrong.append((1, f"the DAG {reader.dag.id!r} has no tasks"))
    if reader.wrong:
        told = [f"{path.name}:{line}: {why}" for line, why in reader.wrong[:_TOLD]]
        more = len(reader.wrong) - len(told)
        raise Invalid(
            "\n".join([*told, *([f"and {more} more"] if more > 0 else [])]),
            hint="what can be read: docs/how-to/from-airflow.md; write the rest by hand",
        )
    return reader.dag


class _Reader:
    """What has been understood so far, and what has not."""

    def __init__(self, text: str) -> None:
        self.text, self.dag = text, Dag()
        self.wrong: list[tuple[int, str]] = []
        self._known: dict[str, Any] = {}  # module constants
        self._functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        self._tasks: dict[str, dict[str, Any]] = {}  # functions under @task: their options
        self._names: dict[str, Any] = {}  # variables that hold an operator's id, or a list of them
        self._operators: set[str] = set()  # names under which operators, DAG, chain were imported
        self._starters: set[str] = set()  # functions under @dag: a call of one makes the DAG known to Airflow
        self._defaults: dict[str, tuple[ast.AST, Any]] = {}

    # ── the file ────────────────────────────────────────────────────────────────────────────────────────────

    def module(self, body: list[ast.stmt]) -> None:
        self._each(body, self._statement)

    def _each(self, body: list[ast.stmt], read: Any) -> None:
        for statement in body:
            try:
                read(statement)
            except Unknown as unknown:
                self.wrong.append((unknown.line, unknown.why))

    def _statement(self, node: ast.stmt) -> None:
        """One statement at the top of the file."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node)
        elif isinstance(node, ast.With):
            self._with(node)
        elif isinstance(node, ast.Assign | ast.Expr) and called(node.value) in self._starters:
            return
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not self._is_ours(node):
            self._constant(node)
        elif isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            self._keep(node) if isinstance(node, ast.ClassDef) else None
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            self.dag.notes["what stands under __name__ == '__main__' is left out"] = None
        else:
            self._step(node)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        if module.partition(".")[0] == "airflow":
            self._operators.update(name.asname or name.name for name in node.names)
        elif not (isinstance(node, ast.ImportFrom) and module == "__future__"):
            self._keep(node)

    def _keep(self, node: ast.AST) -> None:
        """The statement goes over as it stands."""
        for inner in ast.walk(node):
            used = inner.module or "" if isinstance(inner, ast.ImportFrom) else ""
            names = (
                [used] if used else [one.name for one in inner.names] if isinstance(inner, ast.Import) else []
            )
            if any(name.partition(".")[0] == "airflow" for name in names):
                raise Unknown(inner, "it imports airflow, which is not there when it runs")
            if isinstance(inner, ast.Name) and inner.id in self._operators:
                raise Unknown(inner, f"it uses {inner.id} of Airflow where only plain Python can go over")
        self.dag.sources.append(ast.unparse(node) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                                else ast.get_source_segment(self.text, node) or ast.unparse(node))  # fmt: skip

    def _constant(self, node: ast.Assign | ast.AnnAssign) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None and len(targets) == 1 and isinstance(targets[0], ast.Name):
            try:
                self._known[targets[0].id] = value(node.value, self._known)
            except Unknown:
                self._known.pop(targets[0].id, None)
        self._keep(node)

    def _is_ours(self, node: ast.stmt) -> bool:
        """Whether it says something of the DAG: it calls an operator, a task or the DAG, or chains."""
        for inner in ast.walk(node):
            name = called(inner) if isinstance(inner, ast.Call) else ""
            if name.partition(".")[0] in {*self._operators, *self._tasks} or name.endswith(_LIKE):
                return True
            if isinstance(inner, ast.Name) and inner.id in self._names:
                return True
        return False

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators, node.decorator_list = node.decorator_list, []
        for decorator in decorators:
            name = called(decorator) or ast.unparse(decorator)
            words = decorator.keywords if isinstance(decorator, ast.Call) else []
            if name in ("task", "task.python", "airflow.decorators.task"):
                self._context(node)
                self._tasks[node.name] = {word.arg or "**": word.value for word in words}
            elif name in ("dag", "airflow.decorators.dag"):
                if isinstance(decorator, ast.Call) and decorator.args:
                    words = [ast.keyword("dag_id", decorator.args[0]), *words]
                self._starters.add(node.name)
                self._dag(node, words, node.name)
                if node.args.args or node.args.kwonlyargs:
                    raise Unknown(node, "parameters of a DAG function have no counterpart here")
                self._each(node.body, self._inside)
                return
            else:
                raise Unknown(decorator, f"@{name} is not understood: only @task and @dag are")
        self._functions[node.name] = node
        self._keep(node)

    def _with(self, node: ast.With) -> None:
        if len(node.items) != 1 or called(node.items[0].context_expr).rpartition(".")[2] != "DAG":
            raise Unknown(node, "only `with DAG(...)` is understood")
        call = node.items[0].context_expr
        assert isinstance(call, ast.Call)
        self._dag(call, self._dag_words(call), "")
        self._each(node.body, self._inside)

    def _dag_words(self, call: ast.Call) -> list[ast.keyword]:
        first = [ast.keyword("dag_id", call.args[0])] if call.args else []
        if len(call.args) > 1:
            raise Unknown(call, "arguments of DAG after its id are written with their names")
        return first + call.keywords

    def _dag(self, node: ast.AST, words: list[ast.keyword], usual: str) -> None:
        if self.dag.id:
            raise Unknown(node, "a second DAG: give each a file of its own")
        self.dag.id = usual
        for word in words:
            if word.arg == "dag_id":
                self.dag.id = str(value(word.value, self._known))
            elif word.arg in ("schedule", "schedule_interval"):
                self.dag.schedule = schedule(word.value, self._known)
            elif word.arg == "catchup":
                self.dag.catchup = bool(value(word.value, self._known))
            elif word.arg == "default_args":
                self._defaults = self._default_args(word.value)
            elif word.arg == "start_date" or word.arg not in _DAG_FIELDS:
                self.dag.notes[f"{word.arg} of the DAG has no meaning here and is left out"] = None
            else:
                raise Unknown(word.value, f"{word.arg} of a DAG has no counterpart here")

    def _default_args(self, node: ast.expr) -> dict[str, tuple[ast.AST, Any]]:
        if isinstance(node, ast.Name) and node.id in self._known:
            return {name: (node, one) for name, one in self._known[node.id].items()}
        if not isinstance(node, ast.Dict):
            raise Unknown(node, "default_args is not a dict that can be read")
        found: dict[str, tuple[ast.AST, Any]] = {}
        for key, one in zip(node.keys, node.values, strict=True):
            name = value(key, self._known) if key is not None else "**"
            found[name] = (one, None if name == "start_date" else value(one, self._known))
        return found

    # ── what stands in the DAG ──────────────────────────────────────────────────────────────────────────────

    def _inside(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.Pass) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            return
        elif isinstance(node, ast.Assign) and not self._is_ours(node):
            self._constant(node)
        else:
            self._step(node)

    def _step(self, node: ast.stmt) -> None:
        """A statement that makes tasks or orders them."""
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            if called(node.value).rpartition(".")[2] == "DAG":
                assert isinstance(node.value, ast.Call)
                self._dag(node, self._dag_words(node.value), "")
                self._names[node.targets[0].id] = []
                return
            self._names[node.targets[0].id] = self._tasks_of(node.value)
        elif isinstance(node, ast.Expr):
            self._tasks_of(node.value)
        elif isinstance(node, ast.For | ast.While | ast.If | ast.Try | ast.With):
            what = type(node).__name__.lower()
            raise Unknown(
                node, f"`{what}` round tasks is not understood: what it does is not known without running it"
            )
        else:
            raise Unknown(node, f"`{ast.unparse(node)[:60]}` is not understood")

    def _tasks_of(self, node: ast.expr) -> list[str]:
        """Ids of the tasks that an expression stands for; makes them, and orders them."""
        if isinstance(node, ast.Name) and node.id in self._names:
            return list(self._names[node.id])
        if isinstance(node, ast.List | ast.Tuple):
            return [one for element in node.elts for one in self._tasks_of(element)]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift | ast.LShift):
            left, right = self._tasks_of(node.left), self._tasks_of(node.right)
            self._order(left, right) if isinstance(node.op, ast.RShift) else self._order(right, left)
            return right
        if isinstance(node, ast.Call):
            return self._called(node)
        raise Unknown(node, f"`{ast.unparse(node)[:60]}` is no task that can be read")

    def _order(self, first: list[str], then: list[str]) -> None:
        for one in then:
            self.dag.operators[one].before.update(dict.fromkeys(first))

    def _called(self, node: ast.Call) -> list[str]:
        name = called(node)
        last = name.rpartition(".")[2]
        if (
            last in ("set_upstream", "set_downstream")
            and isinstance(node.func, ast.Attribute)
            and len(node.args) == 1
        ):
            mine, other = self._tasks_of(node.func.value), self._tasks_of(node.args[0])
            self._order(other, mine) if last == "set_upstream" else self._order(mine, other)
            return mine
        if last == "chain" and name.partition(".")[0] in self._operators:
            groups = [self._tasks_of(arg) for arg in node.args]
            for arg, first, then in zip(node.args[1:], groups, groups[1:], strict=False):
                if len(first) > 1 and len(then) > 1:
                    if len(first) != len(then):
                        raise Unknown(arg, "chain over two lists of different length")
                    for earlier, later in zip(first, then, strict=True):
                        self._order([earlier], [later])
                else:
                    self._order(first, then)
            return groups[-1] if groups else []
        if last in (_BASH, _PYTHON, *_EMPTY):
            return [self._operator(node, last)]
        if isinstance(node.func, ast.Name) and node.func.id in self._tasks:
            return [self._taskflow(node, node.func.id)]
        if last.endswith(_LIKE):
            raise Unknown(
                node, f"{last} is not understood: only BashOperator, PythonOperator and EmptyOperator are"
            )
        raise Unknown(node, f"`{ast.unparse(node)[:60]}` is not understood")

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────

    def _operator(self, node: ast.Call, kind: str) -> str:
        words = {word.arg or "**": word.value for word in node.keywords}
        if node.args or "**" in words or "task_id" not in words:
            raise Unknown(node, f"{kind} is written with task_id= and other names only")
        made = Operator(str(value(words.pop("task_id"), self._known)), node.lineno)
        if kind == _BASH:
            made.command = self._command(words.pop("bash_command", node))
        elif kind in _EMPTY:
            made.command = "true"
        else:
            self._python(node, made, words)
        return self._add(made, words)

    def _command(self, node: ast.expr) -> str:
        command = value(node, self._known)
        if not isinstance(command, str) or not command.strip():
            raise Unknown(node, "bash_command is no text")
        if "{{" in command or "{%" in command:
            raise Unknown(node, "the command is a Jinja template: what stands in it is known to Airflow only")
        return command

    def _python(self, node: ast.Call, made: Operator, words: dict[str, ast.expr]) -> None:
        function = words.pop("python_callable", None)
        if not isinstance(function, ast.Name):
            raise Unknown(node, "python_callable is no name of a function")
        if function.id in self._functions:
            self._context(self._functions[function.id])
        made.function = function.id
        args, kwargs = words.pop("op_args", None), words.pop("op_kwargs", None)
        made.args = [] if args is None else [self._text(one) for one in self._elements(args)]
        if kwargs is not None:
            made.kwargs = {str(key): repr(one) for key, one in dict(value(kwargs, self._known)).items()}

    def _elements(self, node: ast.expr) -> list[ast.expr]:
        if not isinstance(node, ast.List | ast.Tuple):
            raise Unknown(node, "op_args is no list that can be read")
        return node.elts

    def _text(self, node: ast.expr) -> str:
        return repr(value(node, self._known))

    def _context(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        said = function.args
        names = {one.arg for one in (*said.posonlyargs, *said.args, *said.kwonlyargs)}
        if said.kwarg is not None or names & _CONTEXT:
            what = f"**{said.kwarg.arg}" if said.kwarg is not None else sorted(names & _CONTEXT)[0]
            raise Unknown(function, f"{function.name} takes {what}: Airflow's context is not there")

    def _taskflow(self, node: ast.Call, function: str) -> str:
        made = Operator(self._free(function), node.lineno, function=function)
        made.args = [self._argument(one) for one in node.args]
        made.kwargs = {word.arg or "**": self._argument(word.value) for word in node.keywords}
        if "**" in made.kwargs or any(isinstance(one, ast.Starred) for one in node.args):
            raise Unknown(node, "* and ** in the call of a task are not understood")
        words = dict(self._tasks[function])
        if "task_id" in words:
            made.id = self._free(str(value(words.pop("task_id"), self._known)))
        if "multiple_outputs" in words:
            words.pop("multiple_outputs")
        return self._add(made, words)

    def _free(self, name: str) -> str:
        count, free = 1, name
        while free in self.dag.operators:
            free, count = f"{name}__{count}", count + 1  # as Airflow numbers them
        return free

    def _argument(self, node: ast.expr) -> Any:
        """A result of another task, a part of one, or a value."""
        part, inner = "", node
        while isinstance(inner, ast.Subscript):
            part = f"[{ast.unparse(inner.slice)}]{part}"
            inner = inner.value
        if isinstance(inner, ast.Attribute) and inner.attr == "output":
            inner = inner.value
        if (isinstance(inner, ast.Name) and inner.id in self._names) or isinstance(inner, ast.Call):
            ids = self._tasks_of(inner)
            if len(ids) == 1:
                return Result(ids[0], part)
        return repr(value(node, self._known))

    def _add(self, made: Operator, words: dict[str, ast.expr]) -> str:
        if made.id in self.dag.operators:
            line = self.dag.operators[made.id].line
            raise Unknown(
                ast.Constant(0, lineno=made.line), f"task {made.id!r} is there already, at line {line}"
            )
        said = dict(self._defaults)
        for name, node in words.items():
            if name == "dag":
                continue
            said[name] = (node, None if name == "dag" else self._option(name, node))
        made.options = options(said, self.dag.notes)
        self.dag.operators[made.id] = made
        return made.id

    def _option(self, name: str, node: ast.expr) -> Any:
        """The value of an option; a trigger rule may be a member of Airflow's enum."""
        if name == "trigger_rule" and isinstance(node, ast.Attribute):
            return node.attr
        return value(node, self._known)
