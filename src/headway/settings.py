"""What an operator may set, and where it comes from: defaults < user file < project file < environment <
flags.

A plain dataclass and `tomllib`: the command line reads it at every start and must stay quick.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from headway.domain.units import MILLI, SECOND, parse_bits, parse_bytes, parse_milli, parse_time
from headway.errors import Invalid

FILE_NAME = "headway.toml"
#: Keys that are folders.
_PATHS = ("state", "secrets.folder")
#: Of `node.disk`: what is free where the state folder is.
AUTO = -1
#: Tables of named rows, each as plain as the file has it: what they mean is `headway.core.standing`'s to say.
TABLES = ("tenants", "preemption", "speeds", "sites", "topology", "windows", "rates", "pools")
DISCIPLINES = ("strict", "skip", "backfill", "easy")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who goes first. `order` is a composition such as `priority > srpt`; `discipline` is `strict`,
    `skip`, `backfill` or `easy`; `placement` says which node with room is best, such as `best_fit`, `pack` or `spread`.
    """

    order: str = "priority > fcfs"
    discipline: str = "skip"
    placement: str = "best_fit"


@dataclass(frozen=True, slots=True)
class JointSettings:
    """What plans are made for where the order is `joint` (docs/how-to/joint.md).

    Attributes:
        objective: `weighted_completion`, `makespan` or `utilisation`.
        u_min: Least mean utilisation over the horizon, in milli (0.8 -> 800).
        horizon: How long a plan keeps places, at least; microseconds.
        every: From one plan to the next, at least; microseconds.
        jobs: Tasks that one plan looks at.
        steps, seed, solver: Who makes it, with what budget.
    """

    objective: str = "weighted_completion"
    u_min: int = 0
    horizon: int = 600 * SECOND
    every: int = 2 * SECOND
    jobs: int = 48
    steps: int = 400
    seed: int = 0
    solver: str = "search"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What this machine offers to tasks; None takes what the machine has.

    Attributes:
        name: Of the node; unique in the site.
        cpus: Milli-cores.
        memory: Bytes.
        gpus: Devices.
        gpu_memory: Bytes of memory that each device has, None if nobody says.
        disk: Bytes that tasks may ask for; `AUTO` (`"auto"`) takes what is free where the state folder is, None offers none.
        network: Bits a second that tasks may ask for; None offers none.
        labels: `key=value` pairs for what tasks say with `where`, sorted, with commas between.
    """

    name: str = "local"
    cpus: int | None = None
    memory: int | None = None
    gpus: int | None = None
    disk: int | None = None
    gpu_memory: int | None = None
    network: int | None = None
    labels: str = ""


@dataclass(frozen=True, slots=True)
class SecretSettings:
    """Where the executor finds secrets that its environment does not hold (docs/how-to/secrets.md).

    Attributes:
        folder: A file for each; None is `secrets` beside the user's `headway.toml`.
        command: Prints one; `{name}` stands for its name. Empty for none.
    """

    folder: Path | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the service listens and how much it takes.

    Attributes:
        host: A loopback address.
        port: 0 takes a free one.
        json_limit: Largest JSON body in bytes.
        blob_limit: Largest value or bundle in bytes.
    """

    host: str = "127.0.0.1"
    port: int = 0
    json_limit: int = 8 * 2**20
    blob_limit: int = 2 * 2**30


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The agents that may propose overrides. Their process is only started if one of them is not off.

    Attributes:
        scheduler: Of the scheduler's agent: `off`; `observe`, where what it would do is judged and shown; or `act`.
        every: Microseconds between two digests.
        patience: Microseconds that a task may wait before an agent thinks of it.
    """

    scheduler: str = "off"
    every: int = 5 * SECOND
    patience: int = 60 * SECOND


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long what is over is kept (docs/how-to/retention.md); None is for ever.

    Attributes:
        runs: Ended runs with their tasks and results: microseconds after their end.
        logs: What tasks printed: microseconds after the last line.
    """

    runs: int | None = None
    logs: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it.

    Attributes:
        state: The state folder (layout: `docs/internals/README.md`).
        site: First level of every topic after `headway/`.
        broker: URL of an MQTT broker (`mqtt://` or `mqtts://`); empty starts our own.
        tables: By name (`TABLES`), rows by name; a row of the project's file replaces the user's of that name.
    """

    state: Path = field(default_factory=lambda: default_state(os.environ))
    site: str = "local"
    broker: str = ""
    policy: Policy = Policy()
    joint: JointSettings = JointSettings()
    node: NodeSettings = NodeSettings()
    http: HttpSettings = HttpSettings()
    secrets: SecretSettings = SecretSettings()
    agents: AgentSettings = AgentSettings()
    retention: RetentionSettings = RetentionSettings()
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def default_state(env: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/headway`, usually `~/.local/state/headway`."""
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".local" / "state")
    return Path(base) / "headway"


def user_file(env: Mapping[str, str]) -> Path:
    """`$XDG_CONFIG_HOME/headway/headway.toml`, usually `~/.config/headway/headway.toml`."""
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".config")
    return Path(base) / "headway" / FILE_NAME


def project_file(start: Path) -> Path | None:
    """The nearest `headway.toml` in `start` or a folder above it."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


# ── one reader per key: what a person writes, to what the code uses ───────────────────────────────


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{what} = {value!r} is not a text", hint=f'write {what} = "..."')
    return value


def _name(value: Any, what: str) -> str:
    text = _text(value, what)
    if not text or not all(c.isalnum() or c in "-_" for c in text) or not text.isascii():
        raise Invalid(f"{what} = {value!r} is not a name", hint="use letters, digits, '-' and '_'")
    return text


def _path(value: Any, what: str) -> Path:
    if isinstance(value, Path):
        return value.expanduser()
    if not _text(value, what):
        raise Invalid(f"{what} is empty", hint="give the path of a folder")
    return Path(value).expanduser()


@dataclass(frozen=True, slots=True)
class _Whole:
    """A whole number within bounds."""

    low: int
    high: int

    def __call__(self, value: Any, what: str) -> int:
        try:
            number = int(value) if not isinstance(value, (bool, float)) else None
        except (TypeError, ValueError):
            number = None
        if number is None or not self.low <= number <= self.high:
            raise Invalid(f"{what} = {value!r} is not a whole number from {self.low} to {self.high}")
        return number


def _size(value: Any, what: str) -> int:
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    return parse_bytes(value, what)


def _labels(value: Any, what: str) -> str:
    """`{ zone = "a", rack = "r1" }` in a file, `rack=r1,zone=a` elsewhere; kept as the latter."""
    hint = f'write {what} = {{ zone = "a", rack = "r1" }}, or zone=a,rack=r1 in the environment'
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(mark for _, mark, _ in pairs):
            raise Invalid(f"{what} = {value!r} are not key=value pairs", hint=hint)
        value = {key.strip(): one.strip() for key, _, one in pairs}
    if not isinstance(value, Mapping) or not all(isinstance(one, str | int) for one in value.values()):
        raise Invalid(f"{what} = {value!r} is not a table of texts", hint=hint)
    for key, one in value.items():
        if not key or not str(one) or any(mark in f"{key}{one}" for mark in ",=\"'"):
            raise Invalid(f"{what} has {key!r} = {one!r}: empty, or with one of , = ' \"", hint=hint)
    return ",".join(f"{key}={value[key]}" for key in sorted(value))


def _disk(value: Any, what: str) -> int:
    return AUTO if value == "auto" else parse_bytes(value, what)


def _host(value: Any, what: str) -> str:
    text = _text(value, what)
    if text not in ("127.0.0.1", "::1", "localhost"):
        raise Invalid(
            f"{what} = {value!r} is not a loopback address",
            hint="use 127.0.0.1, ::1 or localhost, and reach it from elsewhere through an ssh tunnel",
        )
    return text


def _broker(value: Any, what: str) -> str:
    text = _text(value, what)
    if text and not text.startswith(("mqtt://", "mqtts://")):
        raise Invalid(
            f"{what} = {value!r} is not the URL of a broker",
            hint="write mqtt://host:1883 or mqtts://host:8883",
        )
    return text


def _command(value: Any, what: str) -> str:
    text = _text(value, what)
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Invalid(f"{what} = {value!r} is not a command: {error}", hint="close its quotes") from None
    if words and "{name}" not in text:
        raise Invalid(f"{what} = {value!r} says no name", hint=f'write {what} = "pass show headway/{{name}}"')
    return text


def _discipline(value: Any, what: str) -> str:
    if value not in DISCIPLINES:
        raise Invalid(f"{what} = {value!r} is not a discipline", hint=f"one of: {', '.join(DISCIPLINES)}")
    return str(value)


@dataclass(frozen=True, slots=True)
class _OneOf:
    """One of these words."""

    known: tuple[str, ...]

    def __call__(self, value: Any, what: str) -> str:
        if value not in self.known:
            raise Invalid(f"{what} = {value!r} is not known", hint=f"one of: {', '.join(self.known)}")
        return str(value)


def _share(value: Any, what: str) -> int:
    milli = parse_milli(value, what)
    if milli > MILLI:
        raise Invalid(f"{what} = {value!r} is more than all", hint="write a share from 0 to 1, such as 0.8")
    return milli


def _length(value: Any, what: str) -> int:
    micros = parse_time(value, what)
    if not micros:
        raise Invalid(f"{what} = {value!r} is no time at all", hint=f'write {what} = "10min"')
    return micros


#: The least age of what is removed: idempotency keys are remembered so long (`roles.planner`).
_LEAST_AGE = 24 * 3600 * SECOND


def _age(value: Any, what: str) -> int | None:
    if value == "forever":
        return None
    micros = parse_time(value, what)
    if micros < _LEAST_AGE:
        raise Invalid(f"{what} = {value!r} is less than a day", hint=f'write {what} = "30d", or "forever"')
    return micros


#: Every key there is, as `section.key`, with its reader. The order is that of the reference page.
KEYS: dict[str, Any] = {
    "state": _path,
    "site": _name,
    "broker": _broker,
    "policy.order": _text,
    "policy.discipline": _discipline,
    "policy.placement": _text,
    "joint.objective": _OneOf(("weighted_completion", "makespan", "utilisation")),
    "joint.u_min": _share,
    "joint.horizon": _length,
    "joint.every": _length,
    "joint.jobs": _Whole(1, 256),
    "joint.steps": _Whole(1, 10_000_000),
    "joint.seed": _Whole(0, 2**31 - 1),
    "joint.solver": _OneOf(("search", "lists", "cpsat")),
    "node.name": _name,
    "node.cpus": parse_milli,
    "node.memory": _size,
    "node.gpus": _Whole(0, 1024),
    "node.gpu_memory": _size,
    "node.disk": _disk,
    "node.network": parse_bits,
    "node.labels": _labels,
    "http.host": _host,
    "http.port": _Whole(0, 65535),
    "http.json_limit": _size,
    "http.blob_limit": _size,
    "secrets.folder": _path,
    "secrets.command": _command,
    "agents.scheduler": _OneOf(("off", "observe", "act")),
    "agents.every": _length,
    "agents.patience": _length,
    "retention.runs": _age,
    "retention.logs": _age,
}


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """Read every source and merge them.

    Args:
        flags: By key (`"node.cpus"`); None values are ignored.
        env: Instead of the process's environment.
        folder: Where the search for the project's file starts; the current folder otherwise.

    Raises:
        Invalid: An unknown key or a wrong value; it names the source and the key.
    """
    env = os.environ if env is None else env
    merged: dict[str, Any] = {"state": default_state(env)}
    for source, raw in _sources(dict(flags or {}), env, folder or Path.cwd()):
        tables = {key: value for key, value in raw.items() if key in TABLES}
        merged.update(_read(source, {key: value for key, value in raw.items() if key not in TABLES}))
        for name, rows in tables.items():
            merged[name] = {**merged.get(name, {}), **_rows(source, name, rows)}
    return _build(merged)


def _sources(
    flags: dict[str, Any], env: Mapping[str, str], folder: Path
) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in (user_file(env), project_file(folder)):
        if path is not None and path.is_file():
            yield str(path), _toml(path)
    yield "the environment", _environment(env)
    yield "the command line", {key: value for key, value in flags.items() if value is not None}


def _toml(path: Path) -> dict[str, Any]:
    """The file's keys, flat. A relative folder is relative to the file."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{path} is not TOML: {error}", hint="write key = value lines and [section] headers"
        ) from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict) and key not in TABLES:
            flat.update((f"{key}.{inner}", item) for inner, item in value.items())
        else:
            flat[key] = value
    for key in _PATHS:
        if isinstance(flat.get(key), str) and flat[key]:
            flat[key] = str(path.parent / Path(flat[key]).expanduser())
    return flat


def variable(key: str) -> str:
    """The environment variable of a key: `node.cpus` -> `HEADWAY_NODE_CPUS`."""
    return "HEADWAY_" + key.replace(".", "_").upper()


def _environment(env: Mapping[str, str]) -> dict[str, Any]:
    """Only known names are read: other `HEADWAY_*` variables belong to tasks, clients and tests."""
    found = {variable(key): key for key in KEYS}
    return {found[name]: value for name, value in env.items() if name in found and value != ""}


@dataclass(frozen=True, slots=True)
class Origin:
    """A place that gives a key a value.

    Attributes:
        source: A file, `the environment`, `the command line` or `default`.
        line: In the file, from 1; 0 if it has no line of its own.
        value: As it is written there.
    """

    source: str
    line: int
    value: Any


def origins(
    flags: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> dict[str, list[Origin]]:
    """Every place that sets a key, the one that counts first; a row of a table goes by `tenants.NAME`.

    Raises:
        Invalid: As `load` does.
    """
    env = os.environ if env is None else env
    load(flags, env=env, folder=folder)
    plain = to_json(Settings(state=default_state(env)))
    found = {key: [Origin("default", 0, plain[key])] for key in KEYS}
    for source, raw in _sources(dict(flags or {}), env, folder or Path.cwd()):
        text = Path(source).read_text(encoding="utf-8") if source.endswith(FILE_NAME) else ""
        for key, value in raw.items():
            rows = {f"{key}.{row}": one for row, one in value.items()} if key in TABLES else {key: value}
            for name, one in rows.items():
                found.setdefault(name, []).insert(0, Origin(source, line_of(text, name), one))
    return found


_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?\Z")
_ASSIGNED = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")


def line_of(text: str, key: str) -> int:
    """The line of a TOML text that gives `key` its value, from 1; 0 if none can be told."""
    section, near = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _bare(header.group(1))
            if section == key:
                return number
            if key.startswith(section + "."):
                near = near or number
        elif assigned := _ASSIGNED.match(line):
            name = f"{section}.{_bare(assigned.group(1))}".lstrip(".")
            if name == key:
                return number
            if key.startswith(name + ".") or name.startswith(key + "."):
                near = number
    return near


def _bare(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _rows(source: str, name: str, rows: Any) -> dict[str, Any]:
    if not isinstance(rows, dict):
        raise Invalid(
            f"{source}: {name} = {rows!r} is not a table", hint=f"write [{name}.NAME] above its keys"
        )
    try:
        json.dumps(rows)
    except TypeError:
        raise Invalid(f"{source}: a value of [{name}] is a date or time", hint="write it in quotes") from None
    return rows


def unknown(key: str) -> Invalid:
    """The refusal of a key that there is not, with the one that was meant, perhaps."""
    near = (
        get_close_matches(key, (*KEYS, *TABLES), n=1)
        or [k for k in KEYS if k.rpartition(".")[2] == key.rpartition(".")[2]][:1]
    )
    hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(KEYS)}"
    return Invalid(f"there is no setting {key!r}", hint=hint, key=key)


def read_one(key: str, value: Any) -> Any:
    """What the code uses for the value of one key.

    Raises:
        Invalid: There is no such key, or it takes no such value.
    """
    if key not in KEYS:
        raise unknown(key)
    return KEYS[key](value, key)


def _read(source: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in KEYS:
            error = unknown(key)
            raise Invalid(f"{source}: {error.message}", hint=error.hint, key=key, source=source)
        try:
            values[key] = KEYS[key](value, key)
        except Invalid as error:
            raise Invalid(f"{source}: {error.message}", hint=error.hint, key=key, source=source) from None
    return values


def _build(values: Mapping[str, Any]) -> Settings:
    parts: dict[str, Any] = {}
    for section in ("policy", "joint", "node", "http", "secrets", "agents", "retention"):
        inner = {k.partition(".")[2]: v for k, v in values.items() if k.startswith(section + ".")}
        default = next(f.default for f in fields(Settings) if f.name == section)
        parts[section] = replace(default, **inner)  # type: ignore[type-var]
    plain = {k: v for k, v in values.items() if "." not in k and k not in TABLES}
    return Settings(**plain, **parts, tables={name: values[name] for name in TABLES if name in values})


def to_json(settings: Settings) -> dict[str, Any]:
    """Flat by key, plain values: for a child process and for `headway status -o json`."""
    flat: dict[str, Any] = {}
    for key in KEYS:
        value: Any = settings
        for part in key.split("."):
            value = getattr(value, part)
        flat[key] = str(value) if isinstance(value, Path) else value
    return {**flat, **settings.tables}


def from_json(flat: Mapping[str, Any]) -> Settings:
    """The inverse of `to_json`: values are already what the code uses."""
    known = (*KEYS, *TABLES)
    values = {
        key: (Path(value) if key in _PATHS and value else value)
        for key, value in flat.items()
        if key in known
    }
    return _build(values)


# ── what a child of the supervisor is told: a file of mode 0600, never its arguments ──────────────

#: Names the file.
CHILD_VARIABLE = "HEADWAY_CHILD_CONFIG"


@dataclass(frozen=True, slots=True)
class Child:
    """What a child process needs to know.

    Attributes:
        settings: All settings.
        brokers: The broker's URL with login, by client name; only this child's clients.
        ca_file: To check the broker's certificate with, if it is not a public one.
    """

    settings: Settings
    brokers: dict[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it lies in the file."""
        return {"settings": to_json(self.settings), "brokers": self.brokers, "ca_file": self.ca_file}


def read_child(env: Mapping[str, str] | None = None) -> Child:
    """Read the file that the supervisor made for this process.

    Raises:
        Invalid: It was not started by a supervisor.
    """
    path = (os.environ if env is None else env).get(CHILD_VARIABLE)
    if not path:
        raise Invalid(
            f"{CHILD_VARIABLE} is not set: this program is started by `headway up`", hint="run `headway up`"
        )
    try:
        tree = json.loads(Path(path).read_text(encoding="utf-8"))
        return Child(from_json(tree["settings"]), dict(tree["brokers"]), tree["ca_file"])
    except (OSError, ValueError, KeyError) as error:
        raise Invalid(
            f"{path} is not what `headway up` writes: {error}", hint="run `headway up` again"
        ) from None
