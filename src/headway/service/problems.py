"""Errors as problem documents (RFC 9457): one shape for every refusal, never a traceback.

`type` is `urn:headway:problem:<code>`; the codes are those of `headway.errors`, and the client turns a
document back into the same class.
"""

from __future__ import annotations

import errno
import json
import logging
import secrets
import sqlite3
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from headway.errors import Denied, HeadwayError, Invalid, NotFound, Unavailable

log = logging.getLogger("headway.service")

MEDIA_TYPE = "application/problem+json"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class TooLarge(Invalid):
    """A body above its limit."""

    code = "too_large"
    status = 413


class Malformed(Invalid):
    """A body that is not what its content type says."""

    code = "malformed"
    status = 400


class Forbidden(Denied):
    """A request from another site or under another name: it is refused whatever token it has."""

    code = "forbidden"
    status = 403


class NoRoute(NotFound):
    """A path that the API does not have."""

    code = "no_route"


class WrongMethod(Invalid):
    """A path that the API has, asked with another method."""

    code = "wrong_method"
    status = 405


class DiskFull(Unavailable):
    """There is no room to keep what was sent; nothing of it was kept."""

    code = "disk_full"
    status = 507


class Internal(HeadwayError):
    """A fault of the service. The details are in its log under the incident number."""

    code = "internal"
    status = 500
    exit_code = 70


def as_headway(error: BaseException) -> HeadwayError:
    """The error to answer with; a fault of ours is logged and becomes an incident number."""
    if _is_disk_full(error):
        if isinstance(error, DiskFull):
            return error
        hint = "free some space and send it again; nothing of it was kept"
        if isinstance(error, HeadwayError):
            return DiskFull(error.message, hint=error.hint or hint, **error.fields)
        return DiskFull("the disk of the state folder is full", hint=hint)
    if isinstance(error, HeadwayError):
        return error
    incident = secrets.token_hex(4)
    log.error("incident %s", incident, exc_info=error)
    return Internal(
        f"the service failed on this request (incident {incident})",
        hint=f"look for 'incident {incident}' in logs/service.log of the state folder",
        incident=incident,
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _is_disk_full(error: BaseException) -> bool:
    if isinstance(error, HeadwayError) and not isinstance(error, Unavailable):
        return False
    for cause in _causes(error):
        if isinstance(cause, DiskFull) or (isinstance(cause, OSError) and cause.errno in _DISK_FULL):
            return True
        if isinstance(cause, sqlite3.OperationalError) and "full" in str(cause):
            return True
    return False


def document(error: HeadwayError, instance: str) -> dict[str, Any]:
    """The problem document of an error."""
    body: dict[str, Any] = {
        "type": f"urn:headway:problem:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "instance": instance,
        "code": error.code,
    }
    if error.hint:
        body["hint"] = error.hint
    if error.fields:
        body["fields"] = error.fields
    return body


def encode(error: HeadwayError, instance: str) -> bytes:
    """As bytes; a field that is not JSON is shown as text rather than lost."""
    text = json.dumps(document(error, instance), ensure_ascii=True, default=repr)
    return text.encode()


def response(error: HeadwayError, instance: str) -> Response:
    """The answer for an error."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="headway"'
    if error.status == 503:
        headers["Retry-After"] = "1"
    if error.status == 405 and "allow" in error.fields:
        headers["Allow"] = error.fields["allow"]
    return Response(encode(error, instance), status_code=error.status, media_type=MEDIA_TYPE, headers=headers)
