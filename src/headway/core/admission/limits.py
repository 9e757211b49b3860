"""Quotas and rates for a reader: why a task is kept back, and what tenants hold, borrow and lend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.core.admission.gates import Gates, Shut
from headway.core.admission.quota import Account, Pool, ceiling, room
from headway.domain.resources import POOL, Demand
from headway.domain.units import show_amount, show_milli, show_time
from headway.errors import Invalid

if TYPE_CHECKING:
    from headway.core.queue import Shape
    from headway.core.world import World


def told(gates: Gates, shape: Shape, why: Shut, now: int) -> dict[str, Any]:
    """The numbers of the limit that shuts a shape, as plain JSON."""
    account = gates.accounts.get(shape.tenant)
    if account is not None and account.pool.key == why.key:
        if why.kind == "lender":
            names = (name for name, _ in shape.needs if name in account.pool.size)
            return {**_quota(account, shape, next(names)), "lender": why.name}
        return _quota(account, shape, why.name)
    for name, amount in shape.rates if gates.slots else ():
        pool = gates.slots.get(name)
        if pool is not None and pool.key == why.key:
            return {"pool": pool.name, "asked": amount, "used": pool.used, "slots": pool.amount}
    return _rate(gates, shape, why, now)


def _quota(account: Account, shape: Shape, name: str) -> dict[str, Any]:
    pool = account.pool
    others = [
        {"tenant": m.name, "over": m.over(name)} for m in pool.members if m is not account and m.over(name)
    ]
    return {
        "tenant": account.name,
        "cohort": pool.name,
        "resource": name,
        "asked": dict(shape.needs).get(name, 0),
        "used": account.used.get(name, 0),
        "quota": account.nominal.get(name, 0),
        "borrow": account.borrow.get(name),
        "most": ceiling(account, name),
        "room": room(account, name, account.used, pool.taken.get(name, 0)),
        "borrowed_by": sorted(others, key=lambda one: (-one["over"], one["tenant"])),
        "reclaim": account.quota.reclaim,
        "within": account.within(shape),
    }


def _rate(gates: Gates, shape: Shape, why: Shut, now: int) -> dict[str, Any]:
    for (rate, tenant), window in gates.windows.items():
        if (f"rate {rate} of {tenant}" if tenant else f"rate {rate}") == why.key:
            amount = dict(shape.rates)[rate]
            when = window.when(amount)
            return {
                "rate": rate,
                "tenant": tenant,
                "asked": amount,
                "used": window.used(now),
                "amount": window.amount,
                "per": window.per,
                "in": max(when - now, 0) if when is not None else None,
            }
    raise AssertionError(f"{why} is of no window")


def lines(limit: dict[str, Any]) -> list[str]:
    """The same as text."""
    if "pool" in limit:
        text = (
            f"wants {show_milli(limit['asked'])} of pool {limit['pool']}: {show_milli(limit['used'])} of its "
            f"{show_milli(limit['slots'])} slots are taken"
        )
        if limit["kind"] == "behind":
            return [f"{text}; what ranks before it and wants more of them goes first"]
        return [f"{text}; it wants more than there are" if limit["kind"] == "never" else text]
    if "rate" in limit:
        whose = f" of {limit['tenant']}" if limit["tenant"] else ""
        text = (
            f"takes {show_milli(limit['asked'])} {limit['rate']}: {show_milli(limit['used'])} of "
            f"{show_milli(limit['amount'])} in {show_time(limit['per'])}{whose} are taken"
        )
        if limit["kind"] == "behind":
            return [f"{text}; what ranks before it and needs more of them goes first"]
        if limit["kind"] == "never":
            return [f"{text}; it asks for more than all of them"]
        return [f"{text}, there is room in {show_time(limit['in'])}" if limit["in"] is not None else text]
    name = limit["resource"]

    def show(amount: int) -> str:
        return show_amount(name, amount)

    said = [
        f"{limit['tenant']} is at its quota: {name} asked {show(limit['asked'])}, used {show(limit['used'])} of "
        f"{show(limit['quota'])}, it may take {show(limit['room'])} more"
    ]
    if limit["borrow"] is not None:
        said.append(f"it may borrow at most {show(limit['borrow'])} from cohort {limit['cohort']}")
    said += [f"{one['tenant']} borrows {show(one['over'])} of {name}" for one in limit["borrowed_by"]]
    if limit["kind"] == "lender":
        said = [f"{limit['tenant']} would borrow {name}, and {limit['lender']} waits for its own"]
    elif limit["kind"] == "behind":
        said.append("another task of the tenant that ranks before it waits for the same quota")
    elif limit["kind"] == "never":
        said.append(f"it can never have more than {show(limit['most'])}")
    elif limit["within"]:
        said.append(
            "it is within its own quota"
            + (" and reclaims it" if limit["reclaim"] != "never" else ", and waits until it is given back")
        )
    return said


def refuse_impossible(gates: Gates, task: str, tenant: str, demand: Demand) -> None:
    """Raises Invalid for a demand that takes from no known rate, or asks for more than a limit could ever give."""
    for name, amount in demand.rates:
        if name.startswith(POOL):
            _refuse_pool(gates, task, name.removeprefix(POOL), amount)
            continue
        if (name, "") not in gates.windows:
            known = ", ".join(gates.rates) or "none"
            raise Invalid(
                f"task {task!r} takes from rate {name!r}, which nobody has set",
                hint=f"write [rates.{name}] in headway.toml; there are: {known}",
            )
        for whose in ("", tenant):
            window = gates.windows.get((name, whose))
            if window is not None and amount > window.amount:
                of = f" for tenant {whose!r}" if whose else ""
                raise Invalid(
                    f"task {task!r} takes {show_milli(amount)} {name} at once, and there are "
                    f"{show_milli(window.amount)} in {show_time(window.per)}{of}",
                    hint="split the task, or have the rate raised",
                )
    account = gates.accounts.get(tenant)
    named = (("cpu", demand.cpu), ("memory", demand.memory), ("gpu", demand.gpu), *demand.named)
    for name, amount in named if account is not None else ():
        assert account is not None
        most = ceiling(account, name)
        if most is not None and amount > most:
            raise Invalid(
                f"task {task!r} asks for {name} {show_amount(name, amount)}, and tenant {tenant!r} may hold at most "
                f"{show_amount(name, most)}",
                hint="ask for less, or have the quota raised",
            )


def _refuse_pool(gates: Gates, task: str, name: str, amount: int) -> None:
    pool = gates.slots.get(POOL + name)
    if pool is None:
        known = ", ".join(one.name for one in gates.slots.values()) or "none"
        raise Invalid(
            f"task {task!r} wants of pool {name!r}, which nobody has set",
            hint=f"write [pools.{name}] and slots = 4 in headway.toml; there are: {known}",
        )
    if amount > pool.amount:
        raise Invalid(
            f"task {task!r} wants {show_milli(amount)} of pool {name!r}, which has {show_milli(pool.amount)} slots",
            hint="ask for fewer slots, or have the pool enlarged",
        )


def tenants_view(world: World) -> list[dict[str, Any]]:
    """Every tenant that has a quota, or a task here, as plain JSON, by name.

    What members of a cohort borrow is told to be lent by those who have quota to spare, in the order of their names.
    """
    running: dict[str, int] = {}
    waiting: dict[str, int] = {}
    used: dict[str, dict[str, int]] = {}
    for entry in world.tasks.values():
        which = running if entry.member is not None else waiting
        which[entry.task.tenant] = which.get(entry.task.tenant, 0) + 1
    for lease in world.leases.values():
        mine = used.setdefault(lease.owner, {})
        for name, amount in lease.shape.amounts:
            mine[name] = mine.get(name, 0) + amount
    lent: dict[str, dict[str, int]] = {}
    for pool in world.gates.pools.values():
        for name in pool.size:
            _lend(pool, name, lent)
    found = []
    for tenant in sorted({*running, *waiting, *used, *world.gates.accounts}):
        account = world.gates.accounts.get(tenant)
        view: dict[str, Any] = {
            "tenant": tenant,
            "used": dict(sorted(used.get(tenant, {}).items())),
            "running": running.get(tenant, 0),
            "waiting": waiting.get(tenant, 0),
        }
        if account is not None:
            quota = account.quota
            view |= {
                "quota": account.nominal,
                "borrow": account.borrow,
                "lend": account.lend,
                "cohort": quota.cohort,
                "reclaim": quota.reclaim,
                "borrowed": {
                    name: over for name in sorted(account.pool.size) if (over := account.over(name))
                },
                "lent": lent.get(tenant, {}),
                "shut": sum(shape.count for shape in account.shapes.values() if shape.shut is not None),
            }
        found.append(view)
    return found


def _lend(pool: Pool, name: str, lent: dict[str, dict[str, int]]) -> None:
    left = sum(member.over(name) for member in pool.members)
    for member in pool.members:
        spare = max(member.nominal.get(name, 0) - max(member.used.get(name, 0), member.guaranteed(name)), 0)
        if left and spare:
            lent.setdefault(member.name, {})[name] = min(spare, left)
            left -= min(spare, left)


def rates_view(world: World, now: int) -> list[dict[str, Any]]:
    """Every rate with what is taken of it now, as plain JSON, by name."""
    return [
        {
            "rate": rate,
            "tenant": tenant,
            "amount": window.amount,
            "per": window.per,
            "used": window.used(now),
            "waiting": sum(
                shape.count
                for shape in world.queue.shapes
                if shape.count and tenant in ("", shape.tenant) and rate in dict(shape.rates)
            ),
        }
        for (rate, tenant), window in sorted(world.gates.windows.items(), key=lambda pair: pair[0])
    ]
