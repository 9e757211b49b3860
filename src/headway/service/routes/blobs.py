"""`/v1/blobs`: values and bundles by content. Sent once, however many runs use them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from headway.errors import NotFound
from headway.service import uploads
from headway.service.gate import too_large
from headway.service.problems import Malformed
from headway.service.routes.models import COMMON, MISSING, problem
from headway.service.state import Ports

router = APIRouter(prefix="/blobs", tags=["blobs"], responses=COMMON)

_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.put(
    "/{sha256}",
    status_code=201,
    summary="Send a blob",
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
    responses={
        200: {"description": "It was here already."},
        201: {"description": "It is on disk."},
        400: problem("the content has another hash", 400, "malformed"),
        413: problem("it is too large", 413, "too_large"),
        507: problem("the disk is full", 507, "disk_full"),
    },
)
async def put(sha256: str, request: Request, ports: Ports) -> Response:
    """Streamed to disk and checked against its name. Nothing of a refused one is kept."""
    uploads.check_name(sha256)
    limit = ports.settings.http.blob_limit
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal():
        raise Malformed("Content-Length is not a number")
    if int(announced) > limit:
        raise too_large(int(announced), limit)
    if ports.blobs.touch(sha256):
        return Response(status_code=200)
    await uploads.receive(ports.blobs, sha256, request.stream(), limit)
    return Response(status_code=201)


@router.head(
    "/{sha256}",
    summary="Ask for a blob",
    responses={200: {"description": "Yes; Content-Length is its size."}, **MISSING},
)
async def head(sha256: str, ports: Ports) -> Response:
    _known(ports, sha256)
    return Response(
        headers={"Content-Length": str(ports.blobs.size(sha256))}, media_type="application/octet-stream"
    )


@router.get(
    "/{sha256}",
    summary="Fetch a blob",
    response_class=FileResponse,
    responses={200: {"description": "Its content.", "content": _BINARY}, **MISSING},
)
async def get(sha256: str, ports: Ports) -> FileResponse:
    _known(ports, sha256)
    return FileResponse(ports.blobs.path(sha256), media_type="application/octet-stream")


def _known(ports: Ports, sha: str) -> None:
    if not ports.blobs.touch(uploads.check_name(sha)):
        raise NotFound(f"there is no blob {sha}")
