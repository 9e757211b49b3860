"""`secret("name")`: a name while a workflow is traced, the value in a plain call, and where values are looked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from headway import secret, shell, task, workflow
from headway.authoring import secrets
from headway.authoring.secrets import PREFIX, NoSecret, Secret, Sources
from headway.domain.attributes import environment_from_json
from headway.errors import Invalid

VALUE = "hunter-2-&-co"


@task
def length(password: str, *, more: list[str] | None = None) -> int:
    return len(password) + sum(map(len, more or ()))


@task
def number(n: int) -> int:
    return n


@workflow
def login() -> int:
    return length(secret("db"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config" / "headway" / "secrets"
    made.mkdir(mode=0o700, parents=True)
    (made / "db").touch(0o600)
    (made / "db").write_text(VALUE + "\n")
    return made


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def test_only_the_name_travels() -> None:
    traced = login.trace()
    [value] = traced.values.values()
    assert value.ref.text == "secret('db')"
    assert pickle.loads(pickle.dumps(secret("db"))) == Secret("db")


def test_a_worker_gets_the_value_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pickle.dumps({"a": [secret("db"), (secret("db"), 1)]})
    monkeypatch.setattr(secrets, "resolver", lambda name: f"<{name}>")
    assert pickle.loads(data) == {"a": ["<db>", ("<db>", 1)]}


def test_a_plain_call_gets_it_too(folder: Path) -> None:
    @workflow
    def deeper() -> int:
        return length(secret("db"), more=[secret("db"), "x"])

    assert login() == len(VALUE)
    assert deeper() == 2 * len(VALUE) + 1


def test_a_command_in_place_has_it_in_a_variable(folder: Path) -> None:
    @workflow
    def echo() -> str:
        return shell("cat /proc/$$/cmdline; echo ' is '{pw}", pw=secret("db"))

    line, _, value = str(echo()).strip().partition(" is ")
    assert VALUE not in line.partition("is")[0]
    assert value.endswith(VALUE)


def test_as_a_variable_only_the_name_travels_too() -> None:
    @task(env={"PGPASSWORD": secret("db"), "MODE": "fast"})
    def query() -> int:
        return 1

    @workflow
    def flow() -> int:
        return query()

    [spec] = flow.trace().workflow.tasks
    assert spec.environment is not None
    assert spec.environment.variables == (("MODE", "fast"),)
    assert spec.environment.secrets == (("PGPASSWORD", "db"),)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"secrets": {"PW": "../x"}}, "the name of a secret"),
        ({"secrets": {"1": "x"}}, "the name of a variable"),
        ({"secrets": {"PW": 7}}, "secrets.PW"),
        ({"secrets": {"PW": "x"}, "variables": {"PW": "y"}}, "as a variable and as a secret"),
    ],
)
def test_graphs_that_cannot_be(tree: dict[str, object], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        environment_from_json(tree, "environment")


def test_it_stands_for_a_text() -> None:
    @workflow
    def wrong() -> int:
        return number(secret("db"))

    with pytest.raises(Invalid, match=r"parameter 'n' is secret\('db'\), a text, expected int"):
        wrong.trace()


@pytest.mark.parametrize(
    "use", [lambda s: f"{s}", lambda s: "pw=" + s, lambda s: s + "x", lambda s: s[0], list, len]
)
def test_it_is_no_text_while_a_workflow_is_traced(use: object) -> None:
    with pytest.raises(Invalid, match="known only to the task"):
        use(secret("db"))  # type: ignore[operator]
    assert repr(secret("db")) == str(secret("db")) == "secret('db')"


@pytest.mark.parametrize("name", ["", "../etc/passwd", ".hidden", "a b", "a/b", "x" * 101, 7, "a\n"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(Invalid, match="not a name"):
        secret(name)


class TestSources:
    def test_the_environment_then_the_folder_then_the_command(self, folder: Path) -> None:
        command = "sh -c 'echo from-command-{name}'"
        everywhere = Sources({f"{PREFIX}DB": "from-variable"}, folder, command)
        assert everywhere.find("db") == "from-variable"
        assert Sources({}, folder, command).find("db") == VALUE
        assert Sources({}, folder, command).find("other") == "from-command-other"
        with pytest.raises(NoSecret, match="no secret 'other' on this node") as caught:
            Sources({}, folder).find("other")
        assert f"set {PREFIX}OTHER" in str(caught.value)

    def test_a_name_as_a_variable(self) -> None:
        assert Sources({f"{PREFIX}DB_PASSWORD_2": "abcdef"}).find("db-password.2") == "abcdef"

    @pytest.mark.parametrize(("mode", "of"), [(0o755, "folder"), (0o640, "file"), (0o604, "file")])
    def test_open_to_others(self, folder: Path, mode: int, of: str) -> None:
        (folder if of == "folder" else folder / "db").chmod(mode)
        with pytest.raises(NoSecret, match="open to others"):
            Sources({}, folder).find("db")

    @pytest.mark.parametrize("value", ["", "12345", "abc\0defg", "x" * 70_000])
    def test_values_that_cannot_be(self, value: str) -> None:
        with pytest.raises(NoSecret) as caught:
            Sources({f"{PREFIX}X": value}).find("x")
        assert not value or value not in str(caught.value)

    @pytest.mark.parametrize(
        ("command", "says"),
        [
            ("sh -c 'echo {name}-is-hidden; exit 3'", "exit code 3"),
            ("there-is-no-such-program {name}", "cannot be run"),
            ("sleep 5 {name}", "has not said"),
            ("printf '\\377\\377\\377\\377\\377\\377{name}'", "not text"),
        ],
    )
    def test_commands_that_fail(self, command: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(secrets, "_COMMAND_WITHIN", 0.5)
        if command.startswith("sleep"):
            command = "sh -c 'exec sleep 5' {name}"
        with pytest.raises(NoSecret, match=says) as caught:
            Sources({}, None, command).find("db")
        assert "db-is-hidden" not in str(caught.value)
