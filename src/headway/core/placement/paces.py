"""How long a task takes on each node: its work, the speed of the node for its kind, and what has to be brought there.

Work is processing time on a node of speed 1: what an estimate says and what is learned. A node of speed 2 does it in
half the time (related machines); a row may give a speed a kind (unrelated machines). To reach a site from where work
comes in takes the site's latency; an input that lies elsewhere takes both sites' latencies, and its size over the
smaller of their bandwidths; inputs are brought one after another. Where nothing was said all of this is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.core.placement.fleet import Ints
from headway.core.placement.learned import Learned
from headway.domain.units import MILLI, SECOND
from headway.domain.where import Where

if TYPE_CHECKING:
    from headway.core.placement.nodes import Nodes

#: The label that says where a node is.
SITE = "site"
#: No task takes longer, in microseconds (35 years), so that nothing overflows.
LONGEST = 1 << 50


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the nodes are that meet a condition; the first row that a node meets counts.

    Attributes:
        speed: Milli; 2000 does the work of 2 s in 1 s. `kinds`: of tasks of that kind, where it differs.
        learn: Speeds of kinds that `kinds` does not name are learned (`placement.learned`).
    """

    name: str
    where: Where
    speed: int = MILLI
    kinds: tuple[tuple[str, int], ...] = ()
    learn: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A place with nodes, those of label `site`.

    Attributes:
        latency: Microseconds to reach it.
        bandwidth: Bytes a second to and from other sites; 0 for no limit. `inside`: between its own nodes.
    """

    name: str
    latency: int = 0
    bandwidth: int = 0
    inside: int = 0


#: What an input's producer left: the node's index, and bytes.
Source = tuple[int, int]
_NOWHERE = Site("")


class Paces:
    """The speeds and distances of one engine's nodes.

    Attributes:
        known: Whether anything was said; if not, all takes as long everywhere.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self.known = False
        self.speeds: tuple[Speed, ...] = ()
        self.sites: tuple[Site, ...] = ()
        #: None as long as no row learns.
        self.learned: Learned | None = None
        self._of = -1  # of which nodes the columns are
        self._columns: dict[str, Ints] = {}  # speed by node, of each kind
        self._site: Ints = np.empty(0, np.int64)
        self._all: list[Site] = [_NOWHERE]

    def say(self, speeds: tuple[Speed, ...], sites: tuple[Site, ...]) -> None:
        """What holds from now on."""
        self.speeds, self.sites = speeds, sites
        self.known = bool(speeds or sites)
        self._of = -1
        rows = {row.name for row in speeds if row.learn}
        self.learned = (self.learned or Learned()) if rows else None
        if self.learned is not None:
            self.learned.keep(rows)

    def times(self, kind: str, work: int, sources: Sequence[Source], at: Ints) -> Ints:
        """Microseconds that so much work, whose inputs lie there, takes on these nodes."""
        speed = self._speed(kind)[at]
        work = min(work, LONGEST)
        found: Ints = -(-work * MILLI // speed) + self.setups(sources, at)
        return found

    def setups(self, sources: Sequence[Source], at: Ints) -> Ints:
        """Microseconds before the work begins."""
        self._refresh()
        site = self._site[at]
        total = np.array([one.latency for one in self._all], np.int64)[site]
        for place, size in sources:
            mine = int(self._site[place])
            legs = [self._leg(mine, other, size) for other in range(len(self._all))]
            brought = np.array(legs, np.int64)[site]
            total += np.where(at == place, 0, brought)
        return total

    def work(self, kind: str, took: int, sources: Sequence[Source], place: int) -> int:
        """The work that was done in so many microseconds on a node."""
        at = np.array([place], np.int64)
        return max(took - int(self.setups(sources, at)[0]), 0) * int(self._speed(kind)[place]) // MILLI

    def row(self, place: int) -> Speed | None:
        """The row that the node meets, or None."""
        space = self._nodes.all[place]
        return next((row for row in self.speeds if space.unmet(row.where) is None), None)

    def samples(self, kind: str, place: int) -> int | None:
        """From how many samples the speed of the kind on the node is learned; None if it is not."""
        row = self.row(place) if self.learned is not None else None
        if row is None or self.learned is None or not row.learn or kind in dict(row.kinds):
            return None
        return self.learned.speed(row.name, kind)[1]

    def learn(self, kind: str, work: int, took: int, sources: Sequence[Source], place: int) -> None:
        """A task of so much work was `took` microseconds on a node whose speed is learned."""
        row = self.row(place)
        assert self.learned is not None
        assert row is not None
        at = np.array([place], np.int64)
        self.learned.learn(row.name, kind, work, max(took - int(self.setups(sources, at)[0]), 1))
        self._columns.clear()  # kinds of which too little is known go by all kinds

    def speed(self, kind: str, place: int) -> int:
        """Of the kind on the node, in milli."""
        return int(self._speed(kind)[place])

    def away(self, sources: Sequence[Source], at: Ints) -> Ints:
        """Bytes of these inputs that are not on each node, and once more those that are not on its site."""
        self._refresh()
        total = np.zeros(len(at), np.int64)
        for place, size in sources:
            total += np.where(at == place, 0, size) + np.where(self._site[at] == self._site[place], 0, size)
        return total

    def tree(self) -> list[Any]:
        """As plain JSON."""
        return [
            [
                [
                    s.name,
                    list(s.where),
                    s.speed,
                    [list(pair) for pair in s.kinds],
                    *([True] if s.learn else []),
                ]
                for s in self.speeds
            ],
            [[s.name, s.latency, s.bandwidth, s.inside] for s in self.sites],
            *([] if self.learned is None else [self.learned.tree()]),
        ]

    def fill(self, tree: list[Any]) -> None:
        """The reverse of `tree`."""
        rows, sites, *learned = tree
        speeds = (
            Speed(name, tuple(w), speed, tuple((k, m) for k, m in of), *learn)
            for name, w, speed, of, *learn in rows
        )
        self.say(tuple(speeds), tuple(Site(*row) for row in sites))
        if self.learned is not None and learned:
            self.learned.fill(learned[0])

    def _leg(self, a: int, b: int, size: int) -> int:
        one, other = self._all[a], self._all[b]
        if a == b:
            return min(size * SECOND // one.inside, LONGEST) if one.inside else 0
        limits = [site.bandwidth for site in (one, other) if site.bandwidth]
        brought = min(size * SECOND // min(limits), LONGEST) if limits else 0
        return one.latency + other.latency + brought

    def _refresh(self) -> None:
        if self._of == self._nodes.reshaped:
            return
        self._of = self._nodes.reshaped
        self._columns = {}
        labels = [dict(space.node.labels).get(SITE, "") for space in self._nodes.all]
        named = {site.name: site for site in (_NOWHERE, *self.sites)}
        self._all = [named.get(name, Site(name)) for name in dict.fromkeys((*named, *labels))]
        numbers = {site.name: number for number, site in enumerate(self._all)}
        self._site = np.array([numbers[name] for name in labels], np.int64)

    def _speed(self, kind: str) -> Ints:
        self._refresh()
        found = self._columns.get(kind)
        if found is None:
            found = np.full(len(self._nodes.all), MILLI, np.int64)
            for space in self._nodes.all:
                row = self.row(space.index)
                if row is not None:
                    speed = row.speed
                    if row.learn and self.learned is not None:
                        speed = self.learned.speed(row.name, kind)[0]
                    found[space.index] = dict(row.kinds).get(kind, speed)
            self._columns[kind] = found
        return found
