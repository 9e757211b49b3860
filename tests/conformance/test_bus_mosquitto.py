from __future__ import annotations

from pathlib import Path

import pytest
from bus_suite import BusSuite

from headway.bus.broker_mosquitto import MosquittoBroker, find_program
from headway.errors import Unavailable


class TestMosquitto(BusSuite):
    def make(self, folder: Path) -> MosquittoBroker:
        try:
            find_program()
        except Unavailable as absent:
            pytest.skip(f"{absent.message}; {absent.hint}")
        return MosquittoBroker(folder)
