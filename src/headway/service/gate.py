"""The outermost layer of the HTTP service: who may come in, how much they may bring, and no fault gets out.

A web page in the operator's browser can reach a loopback port. Two checks keep it out before the token is
even looked at: the Host must be a loopback name (a rebound DNS name is not), and an Origin, which browsers
send and cannot forge, must be our own.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headway.errors import Denied, HeadwayError
from headway.service import problems
from headway.service.identity import Identity, Tokens
from headway.service.problems import Forbidden, Malformed, TooLarge

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Gate:
    """Pure ASGI: a wrapper of functions costs microseconds where a middleware class of the framework costs
    tasks.

    Args:
        app: What is behind it.
        tokens: Whom to let in.
        json_limit: Largest body in bytes, except where `streamed` says that the route counts for itself.
        streamed: Path prefixes whose bodies are streamed and limited by their route.
        names: Host names of our own, besides the loopback ones.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        *,
        json_limit: int,
        streamed: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._json_limit = json_limit
        self._streamed = tuple(streamed)
        self._names = frozenset((*LOOPBACK_NAMES, *names))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        started = complete = False

        async def watched(message: Message) -> None:
            nonlocal started, complete
            started = True
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            headers = dict(scope["headers"])
            who = self._admit(headers)
            scope["identity"], scope["principal"] = who, who.name
            if not scope["path"].startswith(self._streamed):
                receive = self._limited(headers, receive)
            await self._app(scope, receive, watched)
        except Exception as error:
            # The framework answers a fault of ours through the handler in `http`, and then raises it all the
            # same.
            if complete:
                return
            answer = (
                too_large(None, error.limit)
                if isinstance(error, BodyTooLarge)
                else problems.as_headway(error)
            )
            if started:
                raise  # only a cut connection can tell a reader that what it got is not whole
            await problems.response(answer, scope["path"])(scope, receive, send)

    def _admit(self, headers: dict[bytes, bytes]) -> Identity:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host_name(host) not in self._names:
            raise Forbidden(
                f"this service does not answer under the name {host!r}",
                hint="call it as 127.0.0.1 or localhost",
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            raise Forbidden(
                "a page of another origin may not call this service",
                hint="call it from a program, not a web page",
            )
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Denied(
                "no token was sent",
                hint="send `Authorization: Bearer <token>`; yours is in <state folder>/token",
            )
        who = self._tokens.identify(token.strip())
        if who is None:
            raise Denied("the token is not one of this service's", hint="yours is in <state folder>/token")
        return who

    def _limited(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """Refuse a body by its announced length, and count it in case it lied or was chunked."""
        limit, seen = self._json_limit, 0
        announced = headers.get(b"content-length", b"0")
        if not announced.isdigit():
            raise Malformed("Content-Length is not a number")
        if int(announced) > limit:
            raise too_large(int(announced), limit)

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                # As an HTTPException it passes FastAPI's body parsing unchanged.
                raise BodyTooLarge(limit)
            return message

        return counted


class BodyTooLarge(HTTPException):
    """Raised in the middle of a body that has passed its limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.limit = limit


def too_large(size: int | None, limit: int) -> HeadwayError:
    """The refusal of a body above its limit; `size` is None when only part of it was read."""
    what = f"the body has {size} bytes" if size is not None else "the body is longer than allowed"
    return TooLarge(
        f"{what}; at most {limit} are taken here",
        hint="large values go to PUT /v1/blobs/{sha256} and travel by reference",
        limit=limit,
    )


def host_name(host: str) -> str:
    """`127.0.0.1:8080` -> `127.0.0.1`; `[::1]:80` -> `[::1]`."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
