"""The outermost layer of the HTTP service: who may come in, how much they may bring, what they did is written down, and no fault gets
out.

A web page in the operator's browser can reach a loopback port. Two checks keep it out before the token is
even looked at: the Host must be a loopback name (a rebound DNS name is not), and an Origin, which browsers
send and cannot forge, must be our own.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Iterable
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headway.errors import Denied, HeadwayError
from headway.service import problems
from headway.service.audit import Audit
from headway.service.identity import Identity
from headway.service.probes import PATHS, Probes
from headway.service.problems import Forbidden, Malformed, TooLarge
from headway.service.rights import PREFIX
from headway.service.tokens import Tokens
from headway.service.underway import Underway

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
#: Methods that change nothing.
_READS = frozenset(("GET", "HEAD", "OPTIONS"))
_SUBMISSION = "/v1/runs"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")


class Gate:
    """Pure ASGI: a wrapper of functions costs microseconds where a middleware class of the framework costs
    tasks.

    Args:
        app: What is behind it.
        tokens: Whom to let in.
        audit: Where acts are written down.
        json_limit: Largest body in bytes, except where `streamed` says that the route counts for itself.
        streamed: Path prefixes whose bodies are streamed and limited by their route.
        names: Host names of our own, besides the loopback ones.
        probes: Answer what orchestrators ask without a token.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: Tokens,
        audit: Audit,
        *,
        json_limit: int,
        streamed: Iterable[str] = (),
        names: Iterable[str] = (),
        probes: Probes | None = None,
    ) -> None:
        self._app = app
        self._probes = probes
        self._tokens, self._audit = tokens, audit
        self._underway = Underway(tokens)
        self._told: dict[str, float] = {}
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
        headers = dict(scope["headers"])
        acts, request = scope["method"] not in _READS, request_id(headers)

        async def watched(message: Message) -> None:
            nonlocal started, complete
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request.encode())]
                if acts and "principal" in scope:
                    self._note(scope, message, request)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        reading = None
        try:
            if self._probes is not None and scope["path"] in PATHS and not acts:
                self._check_host(headers)
                await self._probes.answer(scope["path"], send)
                return
            who, token = self._admit(scope, headers, request)
            scope["identity"], scope["principal"] = who, who.name
            if acts:
                self._audit.ready()
            else:
                reading = self._underway.enter(token)
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
            await problems.response(answer, scope["path"])(scope, receive, watched)
        except asyncio.CancelledError:
            if reading is None or not self._underway.is_cut(reading):
                raise
            reading.uncancel()
            if not started:
                gone = Denied("the token is not good any more", hint="ask an administrator for another")
                await problems.response(gone, scope["path"])(scope, receive, watched)
            # Else nothing more is sent, and the server closes the connection.
        finally:
            if reading is not None:
                self._underway.leave(reading)

    def _check_host(self, headers: dict[bytes, bytes]) -> str:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host_name(host) not in self._names:
            raise Forbidden(
                f"this service does not answer under the name {host!r}",
                hint="call it as 127.0.0.1 or localhost",
            )
        return host

    def _admit(self, scope: Scope, headers: dict[bytes, bytes], request: str) -> tuple[Identity, str]:
        host = self._check_host(headers)
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host}":
            raise Forbidden(
                "a page of another origin may not call this service",
                hint="call it from a program, not a web page",
            )
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Denied(
                "no token was sent",
                hint="send `Authorization: Bearer <token>`; yours is in <state folder>/token",
            )
        who = self._tokens.identify(token)
        if who is None:
            self._refuse(token, scope, request)
        return who, token

    def _refuse(self, token: str, scope: Scope, request: str) -> NoReturn:
        """Whoever tries a token that was taken back is of interest: the audit says so, once a second at most for each."""
        name, why = self._tokens.refused(token)
        if not name:
            raise Denied("the token is not one of this service's", hint="yours is in <state folder>/token")
        now = time.monotonic()
        if now - self._told.get(name, -1.0) >= 1.0:
            self._told[name] = now
            self._audit.note(name, f"{scope['method']} {scope['path']}", "", 401, request, why)
        raise Denied(f"the token was {why}" if why != "expired" else "the token has expired",
                     hint="ask an administrator for another")  # fmt: skip

    def _note(self, scope: Scope, start: Message, request: str) -> None:
        """Write an act down as its answer begins. What found no route did nothing."""
        if scope["path"] == _SUBMISSION and scope["method"] == "POST":
            act, object = f"POST {_SUBMISSION}", ""
        elif (route := scope.get("route")) is None:
            return
        else:
            act = f"{scope['method']} {PREFIX}{route.path.removeprefix(PREFIX)}"
            object = "/".join(map(str, scope["path_params"].values()))
        for name, value in start["headers"] if not object else ():
            if name == b"location":
                object = value.decode("latin-1").rpartition("/")[2]
        self._audit.note(scope["principal"], act, object, start["status"], request)

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


def request_id(headers: dict[bytes, bytes]) -> str:
    """The caller's own `X-Request-Id` if it sent a plain one, else a new one; the answer and the audit carry it."""
    given = headers.get(b"x-request-id", b"")
    return given.decode("ascii") if _REQUEST_ID.match(given) else secrets.token_hex(8)


def host_name(host: str) -> str:
    """`127.0.0.1:8080` -> `127.0.0.1`; `[::1]:80` -> `[::1]`."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
