"""Who is let in: names, pages of others, tokens and their scopes, types of bodies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.http import serve
from slipstream.http.limits import Limits
from slipstream.http.program import Serving
from slipstream.http.tokens import LOOK_S
from tests.integration.served import LONG_S, SEARCH, Told, ask, opened
from tests.until import until

READ, WRITE, ADMIN = (f"{scope}-0123456789abcdef" for scope in ("read", "write", "admin"))
NOTE = {"id": "n1", "type": "Note", "properties": {"name": "note"}}


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    with opened(tmp_path_factory.mktemp("served") / "pkg") as slipstream:
        yield slipstream


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"# of this test\nread {READ}\n\nwrite {WRITE}\nadmin {ADMIN}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def server(slip: Slipstream) -> Iterator[Serving]:
    with serve(slip, "0") as server:
        yield server


@pytest.fixture
def guarded(slip: Slipstream, token_file: Path) -> Iterator[Serving]:
    with serve(slip, "0", token=token_file) as server:
        yield server


def _bearing(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"Authorization": f"{scheme} {token}"}


# ------------------------------------------------------------------ names


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "[::1]", "localhost:1"])
def test_it_answers_to_its_own_names(server: Serving, host: str) -> None:
    assert ask(server, "GET", "/v1/status", headers={"Host": host}).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "evil@localhost.example",
        "[::2]",
        "10.0.0.1",
        "[",
        "localhost evil.example",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_refused(server: Serving, host: str) -> None:
    for path in ("/v1/status", "/", "/healthz", "/metrics", "/mcp", "/openapi.json"):
        refused = ask(server, "GET", path, headers={"Host": host})
        assert refused.status in {HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.BAD_REQUEST}, path
        assert refused.headers["content-type"] == "application/problem+json"


# ------------------------------------------------------------------ pages of others

FOREIGN: Mapping[str, dict[str, str]] = {
    "another origin": {"Origin": "http://evil.example"},
    "a local page of another port": {"Origin": "http://localhost:3000"},
    "a sandboxed page or a file": {"Origin": "null"},
    "an origin that is none": {"Origin": "://"},
    "no origin": {"Origin": ""},
    "another scheme": {"Origin": "ftp://localhost"},
    "another site": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "the same site": {"Sec-Fetch-Site": "same-site"},
    "a frame": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(("method", "path", "body"), [("POST", "/v1/entities", NOTE), ("GET", "/v1/status", None)])
def test_a_page_of_others_neither_writes_nor_reads(
    server: Serving, slip: Slipstream, kind: str, method: str, path: str, body: Any
) -> None:
    before = slip.pkg.feed.head()
    refused = ask(server, method, path, body, FOREIGN[kind])
    assert (refused.status, refused.headers["content-type"]) == (403, "application/problem+json")
    assert slip.pkg.feed.head() == before


def test_our_own_pages_do_both(server: Serving, slip: Slipstream) -> None:
    for own in (f"http://127.0.0.1:{server.port}", f"http://localhost:{server.port}"):
        headers = {"Host": own.removeprefix("http://"), "Origin": own, "Sec-Fetch-Site": "same-origin"}
        assert ask(server, "POST", "/v1/entities/get", {"ids": ["n1"]}, headers).status == HTTPStatus.OK


def test_a_link_to_the_console_may_be_followed_from_anywhere(server: Serving) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert ask(server, "GET", "/", headers=link).status == HTTPStatus.OK
    assert ask(server, "GET", "/v1/status", headers=link).status == HTTPStatus.FORBIDDEN


def test_no_answer_invites_pages_of_others(server: Serving) -> None:
    asked = ask(
        server,
        "OPTIONS",
        "/v1/entities",
        headers={"Origin": "http://e.example", "Access-Control-Request-Method": "PUT"},
    )
    assert asked.status == HTTPStatus.FORBIDDEN
    for told in (asked, ask(server, "GET", "/v1/status")):
        assert not [name for name in told.headers if name.startswith("access-control-")]
        assert told.headers["cross-origin-resource-policy"] == "same-origin"
        assert told.headers["x-content-type-options"] == "nosniff"
        assert told.headers["referrer-policy"] == "no-referrer"
        assert told.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
def test_what_a_form_can_send_is_not_taken(server: Serving, slip: Slipstream, kind: str) -> None:
    before = slip.pkg.feed.head()
    for path in ("/v1/entities", "/v1/batch", "/v1/imports", "/mcp", "/v1/search"):
        refused = ask(server, "POST", path, b'{"id": "n2", "type": "Note", "properties": {}}', {"Content-Type": kind})
        assert (refused.status, refused.headers["content-type"]) == (415, "application/problem+json"), path
    assert slip.pkg.feed.head() == before


def test_a_body_without_a_type_is_not_taken(server: Serving) -> None:
    assert ask(server, "POST", "/v1/search", SEARCH, {"Content-Type": ""}).status == 415


# ------------------------------------------------------------------ tokens


def _statuses(server: Serving, token: str | None) -> list[int]:
    headers = {} if token is None else _bearing(token)
    return [
        ask(server, "POST", "/v1/search", {"text": "note"}, headers).status,
        ask(server, "PUT", "/v1/entities/n1", {"entity_type": "Note", "properties": {"name": "x"}}, headers).status,
        ask(server, "POST", "/v1/dead-letters/discard", {"ids": [1]}, headers).status,
    ]


def test_each_token_may_do_what_its_scope_says(guarded: Serving) -> None:
    assert _statuses(guarded, None) == [401, 401, 401]
    assert _statuses(guarded, "guessed-0123456789abcdef") == [401, 401, 401]
    assert _statuses(guarded, READ) == [200, 403, 403]
    assert _statuses(guarded, WRITE)[::2] == [200, 403]
    assert _statuses(guarded, WRITE)[1] in {200, 201}
    assert _statuses(guarded, ADMIN)[2] not in {401, 403}


OPEN = ("/healthz", "/", "/console/app.js")
CLOSED = (
    "/v1/status",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/mcp",
    "/pkgs/pkg/v1/status",
    "/v1/nothing",
    "//healthz",
)


def test_without_a_token_only_the_console_and_the_health_are_there(guarded: Serving) -> None:
    for path in OPEN:
        assert ask(guarded, "GET", path).status == HTTPStatus.OK, path
        assert ask(guarded, "POST", path, {}).status == HTTPStatus.UNAUTHORIZED, path
    for path in CLOSED:
        refused = ask(guarded, "GET", path)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="slipstream"'), path
        assert ask(guarded, "GET", path, headers=_bearing(READ)).status != HTTPStatus.UNAUTHORIZED, path
    assert ask(guarded, "GET", "/console/../v1/status").status == HTTPStatus.NOT_FOUND


def test_every_route_of_the_api_needs_one(guarded: Serving) -> None:
    document = ask(guarded, "GET", "/openapi.json", headers=_bearing(READ)).json
    asked = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    assert len(asked) > 20
    for method, path in asked:
        assert ask(guarded, method, path.replace("{", "").replace("}", ""), {}).status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    "header",
    [
        READ,
        f"Basic {READ}",
        f"Bearer {READ}x",
        f"Bearer {READ[:-1]}",
        "Bearer",
        "Bearer ",
        f"Bearer {READ} {WRITE}",
        "Bearer ü",
    ],
)
def test_only_a_bearer_of_a_whole_token_is_let_in(guarded: Serving, header: str) -> None:
    sent = {"Authorization": header.encode("latin-1").decode("latin-1")}
    assert ask(guarded, "GET", "/v1/status", headers=sent).status == HTTPStatus.UNAUTHORIZED


def test_the_scheme_is_read_in_any_case(guarded: Serving) -> None:
    assert ask(guarded, "GET", "/v1/status", headers=_bearing(READ, "bEARER")).status == HTTPStatus.OK


@pytest.mark.parametrize("name", ["token", "access_token", "ACCESS_TOKEN", "api_key"])
def test_a_token_in_an_address_is_refused_even_if_it_is_right(guarded: Serving, name: str) -> None:
    for headers in ({}, _bearing(ADMIN)):
        refused = ask(guarded, "GET", f"/v1/status?{name}={ADMIN}", headers=headers)
        assert refused.status == HTTPStatus.BAD_REQUEST
        assert "Authorization: Bearer" in refused.json["detail"]
        assert ADMIN not in refused.body.decode()


def test_tokens_are_in_no_log(slip: Slipstream, token_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve(slip, "0", token=token_file) as server:
        for headers in (_bearing(READ), _bearing("guessed-0123456789abcdef")):
            for path in ("/v1/status", f"/v1/status?token={READ}", "/v1/entities/none", "/else"):
                ask(server, "GET", path, headers=headers)
            ask(server, "POST", "/v1/search", b"{", headers)
    for secret in (READ, WRITE, ADMIN, "guessed"):
        assert secret not in caplog.text


def test_a_file_that_others_may_read_is_told(
    slip: Slipstream, token_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token_file.chmod(0o644)
    with serve(slip, "0", token=token_file):
        assert "can be read by other users" in caplog.text
    assert READ not in caplog.text


def test_tokens_follow_their_file(slip: Slipstream, token_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that is taken out of it ends; while the file is wrong, nobody is let in."""
    with serve(slip, "0", token=token_file) as server:

        def status(token: str) -> int:
            return ask(server, "GET", "/v1/status", headers=_bearing(token)).status

        assert status(READ) == HTTPStatus.OK
        token_file.write_text(f"admin {ADMIN}\n")
        until(lambda: status(READ) == HTTPStatus.UNAUTHORIZED)
        assert status(ADMIN) == HTTPStatus.OK
        token_file.write_text(f"admin {ADMIN}\nread short\n")
        until(lambda: status(ADMIN) == HTTPStatus.UNAUTHORIZED)
        assert "no token is in force" in caplog.text
        assert ADMIN not in caplog.text
        replaced = token_file.with_name("new")
        replaced.write_text(f"{WRITE}\n")
        os.replace(replaced, token_file)
        until(lambda: status(WRITE) == HTTPStatus.OK)
    assert LOOK_S <= 1.0


# ------------------------------------------------------------------ addresses


def test_beyond_this_machine_it_needs_a_token_and_tls_or_a_proxy(slip: Slipstream, token_file: Path) -> None:
    for address in ("0.0.0.0:0", "[::]:0"):
        with pytest.raises(ConfigError, match="needs a token"):
            serve(slip, address)
        with pytest.raises(ConfigError, match="--tls-cert"):
            serve(slip, address, token=token_file)
    with serve(slip, "0.0.0.0:0", token=token_file, behind_proxy=True) as server:
        assert ask(server, "GET", "/v1/status", headers=_bearing(READ)).status == HTTPStatus.OK
    with pytest.raises(ConfigError, match="everybody comes from this machine"):
        serve(slip, "0", behind_proxy=True)


@pytest.mark.parametrize("address", ["", "x", "1:2:3", "localhost:", "localhost:70000", "localhost:-1", ":80"])
def test_what_is_no_address_is_refused(slip: Slipstream, address: str) -> None:
    with pytest.raises((InvalidInputError, ConfigError)):
        serve(slip, address)


def test_a_proxy_in_front_of_a_server_without_tokens_is_noticed(server: Serving) -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        refused = ask(server, "GET", "/v1/status", headers={name: "192.0.2.1"})
        assert refused.status == HTTPStatus.FORBIDDEN
        assert "--behind-proxy" in refused.json["detail"]


def test_only_pages_are_served_where_only_they_were_asked_for(slip: Slipstream) -> None:
    with serve(slip, "0", only_pages=True, limits=Limits()) as server:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert ask(server, "GET", path).status == HTTPStatus.OK
        for method, path in (("GET", "/v1/status"), ("GET", "/"), ("GET", "/openapi.json"), ("POST", "/mcp")):
            assert ask(server, method, path, {}).status == HTTPStatus.NOT_FOUND
        assert ask(server, "GET", "/pkgs/pkg/metrics").status == HTTPStatus.OK


def test_a_fault_tells_strangers_nothing(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the private reason")

    monkeypatch.setattr(Slipstream, "search", broken)
    told: Told = ask(server, "POST", "/v1/search", {"text": "note"})
    assert told.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "private" not in told.body.decode()


def test_strangers_are_told_one_word_of_the_health(tmp_path: Path, token_file: Path) -> None:
    with opened(tmp_path / "pkg") as slipstream:
        assert slipstream.sync.wait(slipstream.pkg.create_entity("Note", "n", {"name": "note"}), LONG_S)
    (tmp_path / "pkg" / ".slipstream" / "graph.db").unlink()
    with opened(tmp_path / "pkg") as slipstream, serve(slipstream, "0", token=token_file) as server:
        assert slipstream.incident is not None
        told = ask(server, "GET", "/healthz")
        assert (told.status, told.body) == (503, b"incident\n")
        assert ask(server, "GET", "/readyz").status == HTTPStatus.UNAUTHORIZED
        for path in ("/healthz", "/readyz"):
            told = ask(server, "GET", path, headers=_bearing(READ))
            assert (told.status, told.body.decode()) == (503, f"{slipstream.incident.line}\n")


def test_strangers_are_not_told_which_pkgs_there_are(tmp_path: Path, token_file: Path) -> None:
    with opened(tmp_path / "pkg") as slipstream, serve(slipstream, "0", token=token_file) as server:
        assert ask(server, "GET", "/pkgs/pkg/healthz").body == b"ok\n"
        told = ask(server, "GET", "/pkgs/other/healthz")
        assert (told.status, told.json["detail"]) == (404, "this server has no PKG of that name")
        told = ask(server, "GET", "/pkgs/other/healthz", headers=_bearing(READ))
        assert told.json["detail"] == "this server has no PKG 'other': it has pkg"


@pytest.mark.parametrize("path", ["/v1/batch/", "/pkgs/pkg/v1/batch/", "/pkgs/pkg/v1/imports/"])
def test_nobody_is_led_to_the_same_path_of_another_pkg(server: Serving, path: str) -> None:
    told = ask(server, "POST", path, {"mutations": []})
    assert (told.status, "location" in told.headers) == (404, False)


@pytest.mark.parametrize("path", ["/v1/entities/caf%E9", "/v1/neighbours?id=%ED%A0%80", "/v1/entities/%C3"])
def test_an_address_that_is_no_utf_8_means_no_other_id(server: Serving, path: str) -> None:
    told = ask(server, "GET", path, headers=_bearing(READ))
    assert (told.status, "UTF-8" in told.json["detail"]) == (400, True)


def test_a_refusal_can_repeat_any_text(server: Serving) -> None:
    told = ask(server, "POST", "/v1/requests", {"operation": "verify", "arguments": {"\ud800": 1}}, _bearing(WRITE))
    assert (told.status, told.json["field"]) == (422, "\ud800")


def test_the_console_lets_nothing_else_run(server: Serving) -> None:
    for path in ("/", "/console/app.js"):
        told = ask(server, "GET", path)
        policy = told.headers["content-security-policy"].split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert {"require-trusted-types-for 'script'", "base-uri 'none'", "form-action 'none'"} <= set(policy)
        assert not [rule for rule in policy if "unsafe" in rule or "http" in rule or "*" in rule]
        assert told.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/console/../../../../../../etc/passwd",
        "/console/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/console/..%2f..%2f..%2fetc%2fpasswd",
        "/console//etc/passwd",
        "/console/\\..\\..\\etc\\passwd",
        "/console/%00/etc/passwd",
        "/../../etc/passwd",
        "//etc/passwd",
        "/pkgs/../../etc/passwd",
        "/pkgs/%2e%2e%2f%2e%2e%2f/slipstream.toml",
        "/console/vendor/../../http/tokens.py",
    ],
)
def test_paths_lead_nowhere_else(server: Serving, path: str) -> None:
    told = ask(server, "GET", path)
    assert told.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}
    assert b"root:" not in told.body
