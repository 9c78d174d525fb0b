"""Who may come in: by which name, from which page, with which token, and what they may then do."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Request

from slipstream.http.listening import LISTENER, Listener
from slipstream.http.problems import problem
from slipstream.http.scopes import GRANTED, Scope
from slipstream.http.tokens import Tokens

PAGES = frozenset({"/healthz", "/readyz", "/metrics"})
OPEN = frozenset({"/healthz", "/"})
OPEN_FOLDER = "/console/"
"""What needs no token: whether the server lives, and the console's own files, which hold nothing of a PKG."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_NAMES = frozenset({"token", "access_token", "auth", "bearer", "authorization", "apikey", "api_key"})
PROXY_HEADERS = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
"""Who sends one of these to a server that knows no proxy would make everybody behind it an administrator."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})
UPLOAD_PATH = "/v1/imports"
UPLOAD_TYPES = frozenset(
    {
        "application/gzip",
        "application/json",
        "application/jsonl",
        "application/octet-stream",
        "application/x-ndjson",
        "application/zstd",
    }
)
"""None of them is a type that a page of another site may send without asking first."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Access:
    """Lets in whom it may, before anything of a body is read."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Request, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with what the bearer may do."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in _HEADERS if each[0] not in given)]
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refused(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _refused(self, scope: Request, headers: Headers) -> JSONResponse | None:
        listener: Listener = scope["state"][LISTENER]
        if not listener.is_local and (foreign := _foreign(scope, headers, listener)) is not None:
            return foreign
        if listener.only_pages and scope["path"] not in PAGES:
            return problem(HTTPStatus.NOT_FOUND, f"known here are {', '.join(sorted(PAGES))}")
        if (misaddressed := _misaddressed(scope)) is not None:
            return misaddressed
        if self._tokens is None and not listener.is_local and PROXY_HEADERS.intersection(headers):
            return problem(
                HTTPStatus.FORBIDDEN,
                "a proxy has sent this, but without tokens only this machine's users may come in: start the server "
                "with --behind-proxy and --token-file",
            )
        granted = self._granted(listener, headers)
        if granted is not None:
            scope[GRANTED] = granted
        elif not _is_open(scope):
            return problem(
                HTTPStatus.UNAUTHORIZED,
                "a bearer token is needed: send `Authorization: Bearer TOKEN` with one of the server's token file",
                headers={"WWW-Authenticate": 'Bearer realm="slipstream"'},
            )
        return _unfit(scope, headers)

    def _granted(self, listener: Listener, headers: Headers) -> Scope | None:
        if listener.is_local or self._tokens is None:  # without tokens only the loopback interface is served
            return Scope.ADMIN
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return self._tokens.scope_of(given.strip()) if scheme.lower() == "bearer" else None


def _misaddressed(scope: Request) -> JSONResponse | None:
    """Refuse an address that holds a token, or bytes that would be read as another id than was sent."""
    try:
        for part in (scope["raw_path"], scope["query_string"]):
            urllib.parse.unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        return problem(HTTPStatus.BAD_REQUEST, "the address has bytes that are no UTF-8: encode its texts in UTF-8")
    names = {name.lower() for name, _ in urllib.parse.parse_qsl(scope["query_string"].decode("latin-1"), True)}
    if names & TOKEN_NAMES:
        return problem(
            HTTPStatus.BAD_REQUEST,
            "a token does not belong into an address, which ends up in logs and histories: take a new token, and "
            "send it as `Authorization: Bearer TOKEN`",
        )
    return None


def _is_open(scope: Request) -> bool:
    path: str = scope["path"]
    return scope["method"] in {"GET", "HEAD"} and (path in OPEN or path.startswith(OPEN_FOLDER))


def _foreign(scope: Request, headers: Headers, listener: Listener) -> JSONResponse | None:
    """Refuse names that are not ours (others can be made to lead here: DNS rebinding), and pages of others."""
    asked = headers.get("host", "")
    own = {*LOOPBACK_NAMES, *listener.hosts, *_connected_to(scope)}
    if asked and _host_of(asked) not in own:  # none at all is HTTP/1.0, which no browser speaks
        return problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            f"this server is not called {asked[:200]!r}: use its address, or start it with --allow-host NAME",
        )
    origin = headers.get("origin")
    if origin is not None and not _is_same(origin, asked):
        return problem(HTTPStatus.FORBIDDEN, "a page of another origin may not call this server")
    site = headers.get("sec-fetch-site", "none")
    if site not in {"same-origin", "none"} and not _is_followed_link(scope, headers):
        return problem(HTTPStatus.FORBIDDEN, f"a page of another site may not call this server ({site[:40]!r})")
    return None


def _connected_to(scope: Request) -> Iterable[str]:
    server = scope.get("server")
    return () if server is None else (str(server[0]).partition("%")[0].lower(),)


def _host_of(authority: str) -> str | None:
    try:
        host = urllib.parse.urlsplit(f"//{authority}").hostname
    except ValueError:
        return None
    return None if host is None else host.rstrip(".")


def _is_same(origin: str, asked: str) -> bool:
    """Whether an origin is the one that was asked; a proxy may have ended its TLS, so the scheme is the origin's."""
    scheme = origin.partition("://")[0].lower()
    standard = {"http": 80, "https": 443}.get(scheme)
    try:
        theirs, ours = urllib.parse.urlsplit(origin), urllib.parse.urlsplit(f"{scheme}://{asked}")
        return (
            standard is not None
            and bool(theirs.hostname)
            and theirs.hostname == ours.hostname
            and (theirs.port or standard) == (ours.port or standard)
        )
    except ValueError:
        return False


def _is_followed_link(scope: Request, headers: Headers) -> bool:
    """Whether somebody has followed a link to the console: it shows, and changes nothing."""
    return (
        _is_open(scope)
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _unfit(scope: Request, headers: Headers) -> JSONResponse | None:
    """Refuse a body of a type that a form of another page could send."""
    if scope["method"] in SAFE_METHODS:
        return None
    sent = headers.get("content-type")
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    if sent is None and not has_body:
        return None
    allowed = UPLOAD_TYPES if scope["path"] == UPLOAD_PATH else JSON_TYPES
    if (sent or "").partition(";")[0].strip().lower() in allowed:
        return None
    return problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"a body of the type {(sent or 'none')[:100]!r} is not taken here: send {' or '.join(sorted(allowed))}",
    )
