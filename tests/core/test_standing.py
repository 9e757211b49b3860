"""Tables of `headway.toml` as events: what changed and nothing else, and errors that say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from headway import settings
from headway.core import standing
from headway.core.events import TenantSet
from headway.errors import Invalid


def test_only_what_changed_is_said_and_who_is_not_named_any_more_has_the_defaults() -> None:
    before = {"tenants": {"a": {"weight": 2}, "b": {"weight": 0.5}, "c": {}}}
    now = {"tenants": {"a": {"weight": 3}, "c": {}}}
    assert standing.events(before) == [TenantSet("a", 2000), TenantSet("b", 500), TenantSet("c")]
    assert standing.events(now, before) == [TenantSet("a", 3000), TenantSet("b")]
    assert standing.events(now, now) == []


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"tenant": {}}, "no table [tenant]"),
        ({"tenants": {"a": 3}}, "[tenants.a] is 3"),
        ({"tenants": {"a": {"wait": 3}}}, "[tenants.a] has no key 'wait'"),
        ({"tenants": {"a": {"weight": 0}}}, "gives it nothing"),
        ({"tenants": {"a": {"weight": "x"}}}, "[tenants.a] weight='x' is not a number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tables: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        standing.events(tables)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_settings_and_the_core_know_the_same_tables() -> None:
    assert tuple(standing.READERS) == settings.TABLES


def test_a_row_of_the_project_replaces_the_users(tmp_path: Path) -> None:
    user = tmp_path / "config" / "headway"
    user.mkdir(parents=True)
    (user / "headway.toml").write_text("[tenants.a]\nweight = 2\n[tenants.b]\nweight = 3\n")
    (tmp_path / "headway.toml").write_text("[tenants.a]\nweight = 5\n")
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path)}
    loaded = settings.load(env=env, folder=tmp_path)
    assert loaded.tables == {"tenants": {"a": {"weight": 5}, "b": {"weight": 3}}}
    assert settings.from_json(settings.to_json(loaded)) == loaded
    (tmp_path / "headway.toml").write_text("tenants = 3\n")
    with pytest.raises(Invalid, match="not a table"):
        settings.load(env=env, folder=tmp_path)
