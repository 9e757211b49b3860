"""Quotas and rates in files: read, changed, lifted, refused with words."""

from __future__ import annotations

import pytest

from headway.core import standing
from headway.core.events import QuotaSet, RateSet, TenantSet
from headway.domain.limits import Quota, Rate
from headway.errors import Invalid

TABLES = {
    "tenants": {"ada": {"quota": {"gpu": 8, "memory": "1GiB"}, "cohort": "lab"}, "bob": {"weight": 2}},
    "rates": {"tokens": {"amount": 10, "per": "1min", "tenants": {"ada": 3}}},
}


def test_what_is_new_is_set_and_what_is_gone_is_lifted() -> None:
    first = standing.events(TABLES)
    assert QuotaSet("ada", Quota((("gpu", 8000), ("memory", 2**30)), cohort="lab")) in first
    assert RateSet("tokens", Rate(10_000, 60_000_000, (("ada", 3000),))) in first
    assert not [event for event in first if isinstance(event, QuotaSet) and event.tenant == "bob"]
    assert standing.events(TABLES, TABLES) == []
    last = standing.events({"tenants": {"bob": {"weight": 2}}, "rates": {}}, TABLES)
    assert last == [TenantSet("ada"), QuotaSet("ada", None), RateSet("tokens", None)]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"tenants": {"ada": {"borrow": {"gpu": 1}}}}, r"\[tenants.ada\]: borrow and lend need a cohort"),
        ({"tenants": {"ada": {"quota": {"disk": 1.5}}}}, r"\[tenants.ada\]: disk=1.5"),
        ({"rates": {"tokens": {"per": "1min"}}}, r"\[rates.tokens\]: a rate needs an amount"),
        ({"rates": {"tokens": {"amount": 0}}}, r"\[rates.tokens\]: a rate of 0"),
        ({"rates": {"tokens": 3}}, r"\[rates.tokens\] is 3, not a table"),
    ],
)
def test_nonsense_is_refused_with_its_place(tables: dict[str, object], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        standing.events(tables)  # type: ignore[arg-type]
