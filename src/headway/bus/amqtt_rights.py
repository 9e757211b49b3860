"""Users and rights as plugins of amqtt, in the broker's process. Nothing else imports this: amqtt is
optional."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from amqtt.contexts import Action
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from headway.bus.broker_amqtt import same
from headway.bus.topics import covers

_config: dict[str, Any] = {"port": 0, "users": {}}


def read(config: Path) -> None:
    """Takes users and rights from the file, in place of what was there."""
    _config.update(json.loads(config.read_text()))


def port() -> int:
    """Where to listen."""
    return int(_config["port"])


class Login(BaseAuthPlugin):  # type: ignore[misc]
    """Knows users by password."""

    async def authenticate(self, *, session: Session) -> bool:
        """Whether the password is the user's."""
        user = _config["users"].get(session.username or "")
        return user is not None and same(user["password"], session.password or "")


class Rights(BaseTopicPlugin):  # type: ignore[misc]
    """A user publishes and subscribes to what `topics` says, and receives what it subscribed to."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Whether the user may."""
        user = _config["users"].get((session.username if session else "") or "")
        if user is None or not topic:
            return False
        if action == Action.PUBLISH:
            return any(covers(allowed, topic) for allowed in user["publish"])
        if action == Action.SUBSCRIBE:
            return any(covers(allowed, topic) for allowed in user["subscribe"])
        return True
