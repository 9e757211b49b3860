from __future__ import annotations

from pathlib import Path

from bus_suite import BusSuite

from headway.bus.broker_nats import NatsBroker


class TestNats(BusSuite):
    def make(self, folder: Path) -> NatsBroker:
        return NatsBroker(folder)
