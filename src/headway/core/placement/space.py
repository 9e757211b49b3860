"""One node's room: what it has, what of it is free, device by device, and who has a claim to what comes free
next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from headway.core.placement import Placement
from headway.domain.resources import Node
from headway.domain.units import GPU_MEMORY, MILLI
from headway.domain.where import Where, unmet

if TYPE_CHECKING:
    from headway.core.queue import Shape
    from headway.core.state import Claim, Lease


class Space:
    """A node and its free resources, in integers.

    Attributes:
        index: Its place in `Nodes.all`, for ever.
        open: Whether anything new may be placed: it is there, not cordoned and not closing.
        closing: A window on it is near or has begun: tasks are tried one by one (`admission.windows`).
        version: Counts every change, so that what was computed before is known to be stale.
        cpu, memory, other: Free. Below zero if the node shrank under what runs on it.
        devices: Free milli of each GPU; `sizes` 1000 for one that is there, 0 for one that went.
        gpu: Their sum. `idle`: how many are wholly free. `roomiest`: the most that any single one has free.
        vram: Bytes of memory that each GPU has, or 0 if nobody said.
        reach: The largest GPU demand that fits: a share up to the roomiest device, or so many idle ones.
        level: The node's side of every score, as `placement` says. `size`: the capacity, equal for nodes that score
            alike; `alike`: its number in `Nodes`.
        leases: What is held here, by lease.
        claims: Who takes what comes free, first come first.
    """

    __slots__ = (
        "_unmet", "alike", "claims", "closing", "cordoned", "cpu", "cpu_size", "devices", "gone", "gpu", "gpu_size", "idle", "incarnation",
        "index", "leases", "level", "memory", "memory_size", "name", "node", "open", "other", "other_size", "placement",
        "reach", "roomiest", "size", "sizes", "version", "vram",
    )  # fmt: skip

    def __init__(self, index: int, node: Node, incarnation: str, placement: Placement) -> None:
        self.placement = placement
        self.index = index
        self.name = node.name
        self.incarnation = incarnation
        self.cordoned = False
        self.closing = False
        self.gone = False
        self.open = True
        self.version = 0
        self._unmet: dict[Where, str | None] = {}
        self.leases: dict[int, Lease] = {}
        self.claims: list[Claim] = []
        self.cpu = self.memory = 0
        self.gpu = self.idle = self.roomiest = self.reach = self.level = 0
        self.cpu_size = self.memory_size = self.alike = 0
        self.vram = 0
        self.devices: list[int] = []
        self.sizes: list[int] = []
        self.other: dict[str, int] = {}
        self.other_size: dict[str, int] = {}
        self.resize(node)

    def resize(self, node: Node) -> None:
        """Takes a new capacity and labels; what is held stays held."""
        self._unmet = {}
        self.node = node
        self.cpu += node.cpu - self.cpu_size
        self.memory += node.memory - self.memory_size
        self.cpu_size, self.memory_size = node.cpu, node.memory
        while len(self.sizes) < node.gpus:
            self.sizes.append(0)
            self.devices.append(0)
        for index, size in enumerate(self.sizes):
            wanted = MILLI if index < node.gpus else 0
            self.devices[index] += wanted - size
            self.sizes[index] = wanted
        self.gpu_size = node.gpus * MILLI
        named = dict(node.other)
        self._remember(named.pop(GPU_MEMORY, 0))
        for name in sorted({*named, *self.other}):
            self.other[name] = self.other.get(name, 0) + named.get(name, 0) - self.other_size.get(name, 0)
        self.other_size = {name: amount for name, amount in named.items() if amount}
        self.size = (node.cpu, node.memory, node.gpus, node.other)
        self.changed()

    def _remember(self, vram: int) -> None:
        """Devices have so much memory: what is held of it is another part of them."""
        former, self.vram = self.vram, vram
        for lease in self.leases.values() if vram != former else ():
            change = lease.shape.of_each(former) - lease.shape.of_each(vram)
            for index in lease.devices:
                self.devices[index] += change

    def per_device(self, shape: Shape) -> int:
        """Milli that the shape takes of each device here."""
        return shape.of_each(self.vram) if shape.vram else shape.per_device

    def changed(self) -> None:
        """Brings the sums up to date after any change."""
        self.open = not (self.gone or self.cordoned or self.closing)
        self._recount()

    def _recount(self) -> None:
        devices = self.devices
        if devices:
            self.gpu = sum(devices)
            self._reach()
        self.version += 1
        self.level = self.placement.level(self)

    def _reach(self) -> None:
        """What of the devices can be asked for."""
        idle = self.idle = self.devices.count(MILLI)
        roomiest = self.roomiest = MILLI if idle else max(self.devices)
        self.reach = idle * MILLI or roomiest

    def fits(self, shape: Shape) -> bool:
        """Whether the shape could start here now."""
        return (
            shape.cpu <= self.cpu
            and shape.memory <= self.memory
            and shape.gpu <= self.reach
            and self.open
            and (
                not shape.picky
                or (self.admits(shape) and (not shape.vram or self.per_device(shape) <= self.reach))
            )
            and (not shape.other or all(amount <= self.other.get(name, 0) for name, amount in shape.other))
        )

    def admits(self, shape: Shape) -> bool:
        """Whether the shape may be here at all: its pin and what it says of labels and of
        other tasks, and whether devices are large enough; not its other amounts."""
        if shape.pin and shape.pin != self.name:
            return False
        if shape.vram > self.vram or (shape.where and self.unmet(shape.where) is not None):
            return False
        return shape.bond is None or shape.bond.against(self) is None

    def unmet(self, where: Where) -> str | None:
        """The first condition that the node's labels do not meet, or None; remembered until they change."""
        if where not in self._unmet:
            self._unmet[where] = unmet(where, dict(self.node.labels))
        return self._unmet[where]

    def take(self, shape: Shape, devices: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Takes what the shape asks; the caller has seen that it fits.

        Args:
            devices: Which, if `pick_devices` is not to choose them.

        Returns:
            Indices of the devices it holds.
        """
        self.cpu -= shape.cpu
        self.memory -= shape.memory
        for name, amount in shape.other:
            self.other[name] -= amount
        each = self.per_device(shape)
        chosen = pick_devices(self.devices, shape, each) if devices is None else devices
        if chosen:
            free = self.devices
            for index in chosen:
                free[index] -= each
            self.gpu -= each * len(chosen)
            self._reach()
        self.version += 1
        self.level = self.placement.level(self)
        return chosen

    def give(self, shape: Shape, devices: tuple[int, ...]) -> None:
        """Takes back what a lease of the shape held; claims are served first."""
        self.cpu += shape.cpu
        self.memory += shape.memory
        for name, amount in shape.other:
            self.other[name] += amount
        if devices:
            free, each = self.devices, self.per_device(shape)
            for index in devices:
                free[index] += each
            self.gpu += each * len(devices)
            self._reach()
        if self.claims:
            for claim in self.claims:
                self.absorb(claim)
            self._recount()
            return
        self.version += 1
        self.level = self.placement.level(self)

    def absorb(self, claim: Claim) -> None:
        """Moves what is free and the claim still misses from free to the claim."""
        cpu = min(max(self.cpu, 0), claim.cpu)
        self.cpu -= cpu
        claim.cpu -= cpu
        memory = min(max(self.memory, 0), claim.memory)
        self.memory -= memory
        claim.memory -= memory
        for index, missing in claim.gpus.items():
            gpu = min(max(self.devices[index], 0), missing)
            self.devices[index] -= gpu
            claim.gpus[index] -= gpu
        for name, missing in claim.other.items():
            amount = min(max(self.other.get(name, 0), 0), missing)
            if amount:
                self.other[name] -= amount
                claim.other[name] -= amount

    def disband(self, claim: Claim) -> None:
        """Gives back what the claim has gathered."""
        self.claims.remove(claim)
        shape = claim.entry.shape
        self.cpu += shape.cpu - claim.cpu
        self.memory += shape.memory - claim.memory
        per = self.per_device(shape)
        for index, missing in claim.gpus.items():
            self.devices[index] += per - missing
        for name, amount in shape.other:
            self.other[name] += amount - claim.other[name]
        for other in self.claims:
            self.absorb(other)
        self.changed()

    def blocker(self, shape: Shape) -> tuple[str, int, int] | None:
        """What keeps the shape from starting here now: (resource, asked, free), or None.

        Without numbers: `gone`, `cordoned`, `pinned` (it may run on another node only), or a condition on
        labels that the node does not meet.
        """
        if self.gone or self.cordoned:
            return ("gone" if self.gone else "cordoned", 0, 0)
        if shape.pin and shape.pin != self.name:
            return ("pinned", 0, 0)
        if shape.where and (term := self.unmet(shape.where)) is not None:
            return (term, 0, 0)
        if shape.bond is not None and (rule := shape.bond.against(self)) is not None:
            return (rule, 0, 0)
        if shape.cpu > self.cpu:
            return ("cpu", shape.cpu, self.cpu)
        if shape.memory > self.memory:
            return ("memory", shape.memory, self.memory)
        if shape.vram > self.vram:
            return (GPU_MEMORY, shape.vram, self.vram)
        if shape.whole > self.idle:
            return ("gpu", shape.gpu, self.idle * MILLI)
        if shape.share > self.roomiest:
            return ("gpu", shape.gpu, self.roomiest)
        if shape.vram and shape.share and self.per_device(shape) > self.roomiest:
            return (GPU_MEMORY, shape.vram, max(self.roomiest, 0) * self.vram // MILLI)
        for name, amount in shape.other:
            if amount > self.other.get(name, 0):
                return (name, amount, self.other.get(name, 0))
        return None


class Imagined:
    """A node as it would be with some leases gone: the question behind trains and preemption."""

    __slots__ = ("cpu", "devices", "memory", "other", "vram")

    def __init__(self, space: Space, leases: Iterable[Lease] = ()) -> None:
        self.cpu = space.cpu
        self.memory = space.memory
        self.vram = space.vram
        self.devices = list(space.devices)
        self.other = dict(space.other)
        for lease in leases:
            self.without(lease)

    def without(self, lease: Lease, sign: int = 1) -> None:
        """Adds what the lease holds (or takes it away again with `sign` -1)."""
        shape = lease.shape
        self.cpu += sign * shape.cpu
        self.memory += sign * shape.memory
        for name, amount in shape.other:
            self.other[name] = self.other.get(name, 0) + sign * amount
        per = self.per_device(shape)
        for index in lease.devices:
            self.devices[index] += sign * per

    def per_device(self, shape: Shape) -> int:
        """Milli that the shape takes of each device here."""
        return shape.of_each(self.vram) if shape.vram else shape.per_device

    def pick(self, shape: Shape) -> tuple[int, ...]:
        """The devices that it would get."""
        return pick_devices(self.devices, shape, self.per_device(shape))

    def take(self, shape: Shape) -> None:
        """Takes what the shape asks, on the devices that it would get."""
        self.cpu -= shape.cpu
        self.memory -= shape.memory
        for name, amount in shape.other:
            self.other[name] = self.other.get(name, 0) - amount
        per = self.per_device(shape)
        for index in self.pick(shape):
            self.devices[index] -= per

    def fits(self, shape: Shape) -> bool:
        """Whether the shape would fit; pins and cordons are the caller's."""
        return (
            shape.cpu <= self.cpu
            and shape.memory <= self.memory
            and (not shape.whole or shape.whole <= self.devices.count(MILLI))
            and (not shape.share or self.per_device(shape) <= max(self.devices, default=0))
            and all(amount <= self.other.get(name, 0) for name, amount in shape.other)
        )


def pick_devices(free: list[int], shape: Shape, per: int = 0) -> tuple[int, ...]:
    """The devices a shape takes, given each one's free milli: the fullest that holds a share, the first idle
    ones else.

    Args:
        per: Milli that it takes of each; of a shape that asks for no memory of devices it need not be said.
    """
    share = shape.share and (per or shape.share)
    if share:
        found, least = -1, MILLI + 1
        for index, amount in enumerate(free):
            if share <= amount < least:
                found, least = index, amount
        return (found,)
    if shape.whole:
        return tuple([index for index, amount in enumerate(free) if amount == MILLI][: shape.whole])
    return ()
