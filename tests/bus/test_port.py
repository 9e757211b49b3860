from __future__ import annotations

import pytest

from headway.bus import topics
from headway.bus.port import Address, BrokerByUrl, Credential, parse_url
from headway.errors import Invalid


def test_a_url_goes_there_and_back() -> None:
    credential = Credential("executor-gpu.box/1", "p@ss:w/rd")
    address = Address("10.0.0.1", 1884, True, credentials={"x": credential})
    found, login = parse_url(address.url("x"))
    assert (found.host, found.port, found.tls, login) == ("10.0.0.1", 1884, True, credential)


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [("mqtt://h", 1883, False), ("mqtts://h", 8883, True), ("mqtt://[::1]:9/", 9, False)],
)
def test_ports_have_the_usual_defaults(url: str, port: int, tls: bool) -> None:
    address, login = parse_url(url)
    assert (address.port, address.tls, login) == (port, tls, Credential())


@pytest.mark.parametrize(
    "url", ["", "host:1883", "http://h", "mqtt://", "mqtt://h:x", "mqtt://u:secret@h/path", "mqtt://h:99999"]
)
def test_what_is_no_broker_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(Invalid, match="mqtts://user:password@host:8883") as error:
        parse_url(url)
    assert "secret" not in str(error.value)


async def test_a_broker_by_url_gives_everybody_its_credential() -> None:
    broker = BrokerByUrl("mqtt://u:p@h")
    address = await broker.start([topics.planner(), topics.scheduler()])
    assert address.credentials == {"planner": Credential("u", "p"), "scheduler": Credential("u", "p")}
    assert await broker.add_client(topics.executor("n")) == Credential("u", "p")
