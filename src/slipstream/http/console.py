"""The console: pages of the package, served as they are, under a policy that lets nothing else run."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slipstream.domain.errors import NotFoundError

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Scripts, styles and calls of this origin only; no text ever becomes markup or code."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    # Kept, and asked about each time: a newer version of the package is seen at once.
    "Cache-Control": "no-cache",
}
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""What is served; anything else in the folder (licences, checksums) is not."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    packed: bytes
    media_type: str
    etag: str


def console_assets() -> dict[str, Asset]:
    """Return the console's files by their path, each read once."""
    return dict(_assets(files("slipstream") / "console", ""))


def _assets(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _assets(entry, f"{path}/")
        elif media_type := _TYPES.get(entry.name.rpartition(".")[2]):
            body = entry.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:32]
            found.append((path, Asset(body, gzip.compress(body, mtime=0), media_type, f'"{digest}"')))
    return found


def console_routes() -> list[Route]:
    """
    Return the routes of the console: its page at `/`, its parts below `/console/`.

    All files are held in memory and looked up by name, so no path leads to any other file. They hold nothing of a
    PKG, so they need no token: the page asks for one when the API does.
    """
    assets = console_assets()

    async def page(request: Request) -> Response:
        return _answer(request, assets["index.html"])

    async def part(request: Request) -> Response:
        path = request.path_params["path"]
        asset = assets.get(path)
        if asset is None:
            raise NotFoundError(f"the console has no file {path!r}")
        return _answer(request, asset)

    return [
        Route("/", page, methods=["GET"], include_in_schema=False),
        Route("/console/{path:path}", part, methods=["GET"], include_in_schema=False),
    ]


def _answer(request: Request, asset: Asset) -> Response:
    """Send a file, or say that the browser has it already."""
    headers = {**_HEADERS, "ETag": asset.etag}
    known = request.headers.get("If-None-Match", "")
    if asset.etag in (each.strip().removeprefix("W/") for each in known.split(",")):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        return Response(asset.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.body, headers=headers, media_type=asset.media_type)
