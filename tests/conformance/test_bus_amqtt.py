from __future__ import annotations

from pathlib import Path

import pytest
from bus_suite import BusSuite

from headway.bus.broker_amqtt import AmqttBroker


class TestAmqtt(BusSuite):
    letters = 200
    outstanding = 500

    def make(self, folder: Path) -> AmqttBroker:
        pytest.importorskip("amqtt")
        return AmqttBroker(folder)
