from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.bus import topics
from headway.bus.topics import covers
from headway.errors import Invalid

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20).filter(
    lambda n: n != "+"
)


@given(names, names, names)
def test_a_topic_comes_apart_as_it_was_put_together(site: str, sender: str, about: str) -> None:
    assert topics.parse(topics.letter(site, sender, about)) == (sender, "to", about)
    assert topics.parse(topics.ack(site, sender, about)) == (sender, "ack", about)
    assert topics.parse(topics.presence(site, sender)) == (sender, "presence", "")


@given(names)
def test_a_name_is_one_level_for_mqtt_and_for_nats(name: str) -> None:
    assert not set(topics.level(name)) & set("/+#.*> \0$")


@given(names, names)
def test_a_client_may_publish_only_under_its_own_name(site: str, name: str) -> None:
    own = f"headway/{topics.level(site)}/from/{topics.level(name)}/"
    for client in (topics.executor(name), topics.watcher(name), topics.Client(name, ("+",))):
        mine = f"headway/{topics.level(site)}/from/{topics.level(client.name)}/"
        assert all(
            filter_.startswith(mine) and "#" not in filter_ for filter_ in topics.may_publish(site, client)
        )
    assert topics.probe(site, name).startswith(own)


def test_rights_fit_together() -> None:
    """What one role sends, its audience may read; and an executor reads nobody else's leases."""
    clients = {
        c.name: c
        for c in (topics.planner(), topics.scheduler(), topics.resource_manager(), topics.executor("n"))
    }
    flows = [
        ("planner", "scheduler", "scheduler"),
        ("scheduler", "planner", "planner"),
        ("scheduler", "executor-n", "executor-n"),
        ("executor-n", "report", "scheduler"),
        ("executor-n", "report", "planner"),
        ("executor-n", "hello", "resource_manager"),
        ("resource_manager", "nodes", "scheduler"),
        ("resource_manager", "nodes", "planner"),
    ]
    for sender, stream, receiver in flows:
        topic = topics.letter("s", sender, stream)
        answer = topics.ack("s", receiver, sender)
        assert any(covers(f, topic) for f in topics.may_publish("s", clients[sender]))
        assert any(covers(f, topic) for f in topics.subscriptions("s", clients[receiver]))
        assert any(covers(f, answer) for f in topics.may_publish("s", clients[receiver]))
        assert any(covers(f, answer) for f in topics.subscriptions("s", clients[sender]))
    others = topics.letter("s", "scheduler", "executor-m")
    assert not any(covers(f, others) for f in topics.subscriptions("s", clients["executor-n"]))
    assert not any(
        covers(f, topics.letter("s", "planner", "executor-n"))
        for f in topics.subscriptions("s", clients["executor-n"])
    )


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "headway",
        "headway/s/from/a",
        "other/s/from/a/to/b",
        "headway/s/from/a/to",
        "headway/s/x/a/to/b",
        "headway/s/from/a/to/b/c",
        "headway/s/from/a/presence/x",
        "headway/s/from/a/else/b",
    ],
)
def test_a_strangers_topic_is_none_of_ours(topic: str) -> None:
    assert topics.parse(topic) is None


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(Invalid, match="empty name"):
        topics.presence("local", "")


def test_filters_as_nats_subjects() -> None:
    assert topics.as_nats("headway/s/from/+/to/report") == ["headway.s.from.*.to.report"]
    assert topics.as_nats("headway/s/#") == ["headway.s.>", "headway.s"]


@pytest.mark.parametrize(
    ("allowed", "asked", "yes"),
    [
        ("a/#", "a/b/c", True),
        ("a/#", "a", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/+", "a/+", True),
        ("a/b", "a/+", False),
        ("a/+", "a/#", False),
        ("a/+/c", "a/b/c", True),
        ("a/b", "a", False),
        ("#", "x/#", True),
    ],
)
def test_what_a_filter_covers(allowed: str, asked: str, yes: bool) -> None:
    assert covers(allowed, asked) is yes


def test_events_are_said_by_one_user_and_heard_by_another() -> None:
    says, hears = topics.event_sender("events"), topics.event_listener("triggers")
    topic = topics.event("s", "lab/7/done")
    assert topic == "headway/s/events/lab/7/done"
    assert any(covers(f, topic) for f in topics.may_publish("s", says))
    assert any(covers(f, topic) for f in topics.subscriptions("s", hears))
    assert not any(covers(f, topic) for f in topics.may_publish("s", hears))
    letters = topics.letter("s", "planner", "scheduler")
    assert not any(covers(f, letters) for f in topics.may_publish("s", says))
    assert not any(covers(f, topic) for f in topics.subscriptions("s", says))
    assert topics.parse(topic) is None, "no role takes it for a letter"


def test_an_agent_may_propose_and_hear_digests_and_nothing_else() -> None:
    agent, desk = topics.agent("scheduler"), topics.desk()
    proposal, digest = topics.letter("s", agent.name, "proposal"), topics.letter("s", "desk", "digest")
    assert any(covers(f, proposal) for f in topics.may_publish("s", agent))
    assert any(covers(f, proposal) for f in topics.subscriptions("s", desk))
    assert any(covers(f, digest) for f in topics.subscriptions("s", agent))
    for sender, stream in (
        ("scheduler", "executor-n"),
        ("planner", "scheduler"),
        ("executor-n", "report"),
        (agent.name, "report"),
    ):
        letter = topics.letter("s", sender, stream)
        assert not any(covers(f, letter) for f in topics.may_publish("s", agent))
        assert not any(covers(f, letter) for f in topics.subscriptions("s", agent))
