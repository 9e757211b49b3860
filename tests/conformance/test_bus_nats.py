from __future__ import annotations

from pathlib import Path

from bus_suite import BusSuite

from headway.bus import topics
from headway.bus.broker_nats import NatsBroker


class TestNats(BusSuite):
    def make(self, folder: Path) -> NatsBroker:
        return NatsBroker(folder)

    async def test_nothing_of_a_killed_broker_is_kept(self, tmp_path: Path) -> None:
        """Sessions it could not end would stay for ever, and make each start slower than the last."""
        broker = self.make(tmp_path)
        await broker.start([topics.planner()])
        left = tmp_path / "store" / "jetstream" / "left"
        left.parent.mkdir(parents=True, exist_ok=True)
        left.touch()
        assert broker.process is not None
        broker.process.kill()
        await broker.process.wait()
        await broker.start()
        try:
            assert not left.exists()
        finally:
            await broker.stop()
