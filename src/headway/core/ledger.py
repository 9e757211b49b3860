"""The ledger of a policy with turns: what each tenant (or run) holds and has been given, and who is next.

It exists only while the policy has an order whose keys change while tasks wait (`ordering.Turns`). An account
*uses* what the leases hold on which its attempts run: a lease counts for its first member. It is *charged* for
processing time in advance, by what the estimate says, and corrected when the attempt has ended, so that who
starts a thousand long tasks has been given much at once and not only when the first of them ends.

Tenants may be part of others (`branches`). Then a standing is that of its topmost branch, of the next one, and so on down to
the account's own, so that one comparison of numbers compares siblings level by level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from headway.core.branches import STANDING, Branch, level_of, packed
from headway.core.ordering import Turns
from headway.core.placement.space import Space
from headway.domain.units import MILLI

if TYPE_CHECKING:
    from headway.core.queue import Shape
    from headway.core.state import Entry, Member
    from headway.core.turns import Group

#: Accounts that are kept; beyond it those with nothing here that were served longest ago are forgotten.
KEEP_ACCOUNTS = 20_000


class Account:
    """What one tenant or run holds and has been given.

    Attributes:
        number: In order of first sight, the last tie-breaker.
        used: Held now, by resource.
        service: What it was given, in the order's own measure.
        served: When it last was granted something, counted in grants.
        level: How far ahead it is, as the order says; the smallest is next.
        groups: Its waiting tasks, by what ranks before the turn.
        above: The branch it is part of, or None.
    """

    __slots__ = (
        "above",
        "groups",
        "level",
        "members",
        "name",
        "number",
        "served",
        "service",
        "standing",
        "used",
        "weight",
    )

    def __init__(self, name: str, number: int, weight: int) -> None:
        self.name = name
        self.number = number
        self.weight = weight
        self.used: dict[str, int] = {}
        self.service = 0
        self.served = 0
        self.members = 0
        self.level = 0
        self.standing = number
        self.groups: dict[int, Group] = {}
        self.above: Branch | None = None

    @property
    def growing(self) -> bool:
        """Whether something of it waits."""
        return bool(self.groups)


class Ledger:
    """All accounts.

    Args:
        turns: The order that says whose a task is, and how far ahead an account is.
        weights: Milli-weights by tenant; who is not named has 1.
        parents: The tenant that a tenant is part of.
        depth: Levels of a standing: 1 if nobody is part of anybody.

    Attributes:
        branches: Tenants with others below them.
        capacity: What all nodes have, by resource.
        landmark: For orders that forget; see `fair_history`.
        moved: Called when an account's standing has changed.
    """

    def __init__(self, turns: Turns, weights: dict[str, int], parents: dict[str, str], depth: int) -> None:
        self.turns = turns
        self.weights = weights
        self.parents = parents
        self.depth = depth
        self.branches: dict[str, Branch] = {}
        self.accounts: dict[str, Account] = {}
        self.capacity: dict[str, int] = {}
        self.landmark = 0
        self.grants = 0
        #: Of attempts that are out, by task: what their accounts were charged in advance.
        self.charges: dict[str, int] = {}
        self._next = 1
        self.moved: Callable[[Account], None] = lambda account: None

    def account(self, entry: Entry) -> Account:
        """Whose the task is; made on first sight."""
        name = self.turns.whose(entry.task)
        found = self.accounts.get(name)
        if found is None:
            found = self.accounts[name] = Account(name, self._next, self._weight(name))
            self._next += 1
            if self.depth > 1:
                self._attach(found)
            if len(self.accounts) > KEEP_ACCOUNTS:
                self._forget()
            self._stand(found)
        return found

    def level(self, entry: Entry) -> int:
        """How far ahead the task's account is; 0 if nobody knows it."""
        found = self.accounts.get(self.turns.whose(entry.task))
        return found.level if found is not None else 0

    def _weight(self, name: str) -> int:
        return self.weights.get(name, MILLI) if self.turns.weighted else MILLI

    def _forget(self) -> None:
        """Drops the one with nothing here that was served longest ago; the newest is never that."""
        *idle, _ = (a for a in self.accounts.values() if not (a.groups or a.members))
        if idle:
            oldest = min(idle, key=lambda account: (account.served, account.number))
            del self.accounts[oldest.name]
            if oldest.above is not None:
                oldest.above.members.remove(oldest)

    def _stand(self, account: Account) -> None:
        account.level = level_of(account, self)
        if self.depth > 1:
            self._stand_in_tree(account)
            return
        standing = packed(account)
        if standing != account.standing:
            account.standing = standing
            self.moved(account)

    # ── tenants that are part of tenants ────────────────────────────────────────────────────────────────────

    def _stand_in_tree(self, account: Account) -> None:
        """Whoever shares a branch with the account moves with it."""
        top, branch = None, account.above
        while branch is not None:
            branch.sum_up(self)
            top, branch = branch, branch.above
        self._place((account,) if top is None else top.accounts())

    def _stand_all(self) -> None:
        """Everybody's level may be another."""
        if self.depth == 1:
            for account in self.accounts.values():
                self._stand(account)
            return
        for account in self.accounts.values():
            account.level = level_of(account, self)
        for branch in self.branches.values():
            if branch.above is None:
                branch.sum_up_all(self)
        self._place(self.accounts.values())

    def _place(self, accounts: Iterable[Account]) -> None:
        for one in accounts:
            standing, place = packed(one), STANDING
            branch = one.above
            while branch is not None:
                standing |= packed(branch) << place
                place += STANDING
                branch = branch.above
            standing <<= self.depth * STANDING - place
            if standing != one.standing:
                one.standing = standing
                self.moved(one)

    def stirred(self, account: Account) -> None:
        """It has something waiting, or nothing any more: that may count among its siblings."""
        if account.above is not None:
            self._stand_in_tree(account)

    def plant(self, depth: int) -> None:
        """The parents are others: every account finds its branch anew."""
        self.depth = depth
        self.moved = lambda account: None  # the queue is made anew
        numbers = {branch.name: (branch.number, branch.served) for branch in self.branches.values()}
        self.branches = {}
        for account in self.accounts.values():
            account.above = None
            account.weight = self._weight(account.name)
        if depth > 1:
            for account in self.accounts.values():
                self._attach(account)
            for name, (number, served) in numbers.items():
                if name in self.branches:
                    self.branches[name].number, self.branches[name].served = number, served
        self._stand_all()

    def _attach(self, account: Account) -> None:
        name = account.name
        if name in self.parents.values():
            account.weight = MILLI  # its own tasks are one member of its branch
        else:
            name = self.parents.get(name, "")
        account.above = self._branch(name) if name else None
        if account.above is not None:
            account.above.members.append(account)

    def _branch(self, name: str) -> Branch:
        found = self.branches.get(name)
        if found is None:
            above = self._branch(self.parents[name]) if name in self.parents else None
            found = self.branches[name] = Branch(name, self._next, self.weights.get(name, MILLI), above)
            self._next += 1
            if above is not None:
                above.members.append(found)
        return found

    def path(self, entry: Entry) -> list[tuple[str, int]]:
        """The branches above the task's account, topmost first, and how far ahead each is."""
        found = self.accounts.get(self.turns.whose(entry.task))
        path: list[tuple[str, int]] = []
        branch = found.above if found is not None else None
        while branch is not None:
            path.insert(0, (branch.name, branch.level))
            branch = branch.above
        return path

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────

    def granted(self, member: Member, now: int) -> None:
        """The task got a place, as the last member of its lease."""
        account = self.account(member.entry)
        self.grants += 1
        account.served = self.grants
        branch = account.above
        while branch is not None:
            branch.served = self.grants
            branch = branch.above
        account.members += 1
        charge = self.turns.cost(member.lease.shape, member.expected, self, now)
        if charge:
            self.charges[member.entry.task.id] = charge
            account.service += charge
        if member.lease.members[0] is member:
            self._use(account, member.lease.shape, 1)
        self._stand(account)

    def ended(self, member: Member, follower: Member | None, first: bool, ran: int, now: int) -> None:
        """The attempt is over, after `ran` microseconds of processing.

        Args:
            follower: Who runs on its lease next.
            first: Whether it was the one that ran, or would have.
        """
        account, shape = self.account(member.entry), member.lease.shape
        account.members -= 1
        given = self.turns.cost(shape, ran, self, now) if ran else 0
        if given or self.charges:
            account.service = max(account.service + given - self.charges.pop(member.entry.task.id, 0), 0)
        if first:
            self._use(account, shape, -1)
            if follower is not None:
                other = self.account(follower.entry)
                self._use(other, shape, 1)
                if other is not account:
                    self._stand(other)
        self._stand(account)

    def _use(self, account: Account, shape: Shape, sign: int) -> None:
        used = account.used
        for name, amount in shape.amounts:
            used[name] = used.get(name, 0) + sign * amount

    def resize(self, spaces: list[Space]) -> None:
        """Nodes came, went or changed: everybody's share is another."""
        total: dict[str, int] = {}
        for space in spaces:
            if not space.gone:
                node = space.node
                named = (("cpu", node.cpu), ("memory", node.memory), ("gpu", node.gpus * MILLI), *node.named)
                for name, amount in named:
                    total[name] = total.get(name, 0) + amount
        if total != self.capacity:
            self.capacity = total
            self._stand_all()

    def reweigh(self, tenant: str) -> None:
        """The tenant's weight is another."""
        if not self.turns.weighted:
            return
        branch, account = self.branches.get(tenant), self.accounts.get(tenant)
        if branch is not None:
            branch.weight = self._weight(tenant)
            account = next(branch.accounts())
        elif account is not None:
            account.weight = self._weight(tenant)
        if account is not None:
            self._stand(account)

    def halve(self, times: int) -> None:
        """Everything given so far is halved so many times."""
        self.charges = {task: charge >> times for task, charge in self.charges.items()}
        for account in self.accounts.values():
            account.service >>= times
        self._stand_all()

    # ── the whole ───────────────────────────────────────────────────────────────────────────────────────────

    def tree(self) -> list[Any]:
        """As plain JSON. What is used is not in it: it follows from the leases."""
        rows = [[a.name, a.number, a.service, a.served] for a in self.accounts.values()]
        branches = [[branch.name, branch.number, branch.served] for branch in self.branches.values()]
        charges = [list(pair) for pair in self.charges.items()]
        return [self.landmark, self.grants, self._next, rows, charges, branches]

    def fill(self, tree: list[Any], members: list[Member], spaces: list[Space]) -> None:
        """The reverse of `tree`, and what follows from leases and nodes."""
        self.landmark, self.grants, self._next = tree[:3]
        for name, number, service, served in tree[3]:
            account = self.accounts[name] = Account(name, number, self._weight(name))
            account.service, account.served = service, served
        self.charges = dict(tree[4])
        for name, number, served in tree[5]:
            branch = self._branch(name)
            branch.number, branch.served = number, served
        if self.depth > 1:
            for account in self.accounts.values():
                self._attach(account)
        self._next = tree[2]
        self.begin(members, spaces)

    def begin(self, members: list[Member], spaces: list[Space]) -> None:
        """Counts what is held now."""
        for member in members:
            account = self.account(member.entry)
            account.members += 1
            if member.lease.members[0] is member:
                self._use(account, member.lease.shape, 1)
        self.resize(spaces)
        self._stand_all()
