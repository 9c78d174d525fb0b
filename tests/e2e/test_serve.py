"""`slipstream serve` as a real process: its sockets, its end, its successor, and the service manager."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.processes import LONG_S, ROOT, Process, command, made
from tests.until import until

END_S = 5.0
"""What is promised: a graceful end with streams open."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP by a socket of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=LONG_S)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(LONG_S)
        self.sock.connect(os.path.realpath(self._path))


def ask(connection: http.client.HTTPConnection, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask once; returns status and JSON."""
    with closing(connection):
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        told = response.read()
        is_json = "json" in (response.getheader("content-type") or "")
        return response.status, json.loads(told) if is_json else told.decode()


def by_socket(directory: Path) -> UnixConnection:
    """Return a connection to a PKG's own socket."""
    return UnixConnection(directory / ".slipstream" / "serve.sock")


def by_tcp(url: str) -> http.client.HTTPConnection:
    """Return a connection to a URL."""
    host, port = url.removeprefix("http://").split(":")
    return http.client.HTTPConnection(host, int(port), timeout=LONG_S)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pkg(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


def served(stack: ExitStack, directory: Path, *options: str) -> tuple[Process, str]:
    """Start a server, and wait until it runs; returns it, with its URL if it has one."""
    process = command(directory, "serve", *options)
    stack.callback(process.close)
    process.wait_for("running")
    found = re.search(r"serving (https?://\S+)", "".join(process.said))
    return process, "" if found is None else found[1]


def _socket(directory: Path) -> Path:
    return directory / ".slipstream" / "serve.sock"


# ------------------------------------------------------------------ the socket


def test_the_socket_is_its_owners_alone_and_goes_with_the_server(stack: ExitStack, pkg: Path) -> None:
    process, url = served(stack, pkg)
    told = _socket(pkg).lstat()
    assert stat.S_ISSOCK(told.st_mode)
    assert stat.S_IMODE(told.st_mode) == 0o600
    assert stat.S_IMODE(_socket(pkg).parent.stat().st_mode) == 0o700
    assert url == ""  # no HTTP unless it is asked for
    position = ask(by_socket(pkg), "/v1/entities", {"id": "n1", "type": "Note", "properties": {"name": "note"}})
    assert position[0] == 201
    status, found = ask(by_socket(pkg), "/v1/search", {"text": "note", "after": position[1]["position"]})
    assert (status, found["hits"][0]["entity_id"]) == (200, "n1")
    process.send(signal.SIGTERM)
    assert process.ended() == 0
    assert process.output() == "ended; nothing is lost\n"
    assert not _socket(pkg).exists()


def test_the_socket_of_a_killed_server_is_replaced(stack: ExitStack, pkg: Path) -> None:
    process, _ = served(stack, pkg)
    process.kill()
    stale = _socket(pkg).lstat()
    assert stat.S_ISSOCK(stale.st_mode)
    served(stack, pkg)
    assert _socket(pkg).lstat().st_ino != stale.st_ino or _socket(pkg).lstat().st_ctime_ns != stale.st_ctime_ns
    assert ask(by_socket(pkg), "/v1/status")[0] == 200


def test_what_is_no_socket_of_ours_stays(stack: ExitStack, pkg: Path) -> None:
    _socket(pkg).parent.mkdir(mode=0o700, exist_ok=True)
    _socket(pkg).write_text("kept")
    process = command(pkg, "serve")
    stack.callback(process.close)
    process.wait_for("is in the way of the server's socket")
    assert process.ended() == 2
    assert _socket(pkg).read_text() == "kept"


def test_a_path_too_long_for_a_socket_is_reached_by_a_link(stack: ExitStack, tmp_path: Path) -> None:
    pkg = made(tmp_path / ("long" * 30) / "pkg")
    process, _ = served(stack, pkg)
    target = Path(os.readlink(_socket(pkg)))
    assert stat.S_IMODE(target.lstat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700
    assert ask(by_socket(pkg), "/v1/status")[0] == 200
    process.kill()
    again, _ = served(stack, pkg)
    assert not target.exists()
    assert ask(by_socket(pkg), "/v1/status")[0] == 200
    target = Path(os.readlink(_socket(pkg)))
    again.send(signal.SIGTERM)
    assert again.ended() == 0
    assert not _socket(pkg).is_symlink()
    assert not target.parent.exists()
    assert (pkg / ".slipstream" / "graph.db").exists()


# ------------------------------------------------------------------ the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_seconds_with_streams_open(stack: ExitStack, pkg: Path, number: signal.Signals) -> None:
    process, url = served(stack, pkg, "--http", "0")
    streams = []
    connections: list[http.client.HTTPConnection] = [by_tcp(url), by_socket(pkg)]
    for connection in connections:
        stack.enter_context(closing(connection))
        connection.request("GET", "/v1/changes/stream?after=0")
        streams.append(connection.getresponse())
        assert streams[-1].status == 200
    idle = stack.enter_context(closing(by_tcp(url)))
    idle.connect()
    began = time.monotonic()
    process.send(number)
    assert process.ended() == 0
    assert time.monotonic() - began < END_S
    assert process.output() == "ended; nothing is lost\n"
    for stream in streams:
        stream.read()  # it raises IncompleteRead where a stream was cut off
    assert "Traceback" not in "".join(process.said)


def test_a_write_that_was_answered_is_there_after_a_kill(stack: ExitStack, pkg: Path) -> None:
    process, url = served(stack, pkg, "--http", "0")
    for number in range(20):
        note = {"id": f"n{number}", "type": "Note", "properties": {"name": f"note {number}"}}
        assert ask(by_tcp(url), "/v1/entities", note)[0] == 201
    process.kill()
    _, url = served(stack, pkg, "--http", "0")
    assert len(ask(by_tcp(url), "/v1/entities?limit=100")[1]["items"]) == 20


def test_a_second_one_stands_by_and_takes_over_address_and_socket(stack: ExitStack, pkg: Path) -> None:
    first, url = served(stack, pkg, "--http", "0")
    port = url.rpartition(":")[2]
    second = command(pkg, "serve", "--http", port)
    stack.callback(second.close)
    second.wait_for("standing by")
    assert ask(by_tcp(url), "/readyz") == (200, "ok\n")
    first.kill()
    second.wait_for(f"serving {url}")
    second.wait_for("running")
    assert ask(by_tcp(url), "/readyz")[0] in {200, 503}
    until(lambda: ask(by_socket(pkg), "/readyz") == (200, "ok\n"))
    second.send(signal.SIGTERM)
    assert second.ended() == 0


def test_who_stands_by_ends_without_touching_the_socket(stack: ExitStack, pkg: Path) -> None:
    served(stack, pkg)
    second = command(pkg, "serve")
    stack.callback(second.close)
    second.wait_for("standing by")
    second.send(signal.SIGTERM)
    assert second.ended() == 0
    assert ask(by_socket(pkg), "/v1/status")[0] == 200


def test_an_address_that_needs_a_token_is_refused_before_anybody_stands_by(stack: ExitStack, pkg: Path) -> None:
    served(stack, pkg)
    second = command(pkg, "serve", "--http", "0.0.0.0:0")
    stack.callback(second.close)
    second.wait_for("needs a token")
    assert second.ended() == 2
    assert not any("standing by" in line for line in second.said)


def test_a_taken_address_is_told_and_the_engine_ends_in_order(stack: ExitStack, pkg: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = command(pkg, "serve", "--http", str(taken.getsockname()[1]))
        stack.callback(process.close)
        process.wait_for("choose another address or port")
        assert process.ended() == 2
    assert not _socket(pkg).exists()


# ------------------------------------------------------------------ several PKGs


def test_two_pkgs_by_name_and_an_incident_in_one(stack: ExitStack, tmp_path: Path) -> None:
    """Each has its own engine and socket; what happens to one is not the other's business."""
    notes, work = made(tmp_path / "notes"), made(tmp_path / "work")
    process, url = served(stack, notes, "--pkg", f"work={work}", "--http", "0")
    until(lambda: ask(by_tcp(url), "/readyz") == (200, "notes: ok\nwork: ok\n"))
    for prefix, name in (("", "a"), ("/pkgs/work", "b")):
        note = {"id": name, "type": "Note", "properties": {"name": name}}
        assert ask(by_tcp(url), f"{prefix}/v1/entities?wait_s=30", note)[0] == 201
    assert [each["id"] for each in ask(by_tcp(url), "/v1/entities")[1]["items"]] == ["a"]
    assert [each["id"] for each in ask(by_tcp(url), "/pkgs/notes/v1/entities")[1]["items"]] == ["a"]
    assert [each["id"] for each in ask(by_tcp(url), "/pkgs/work/v1/entities")[1]["items"]] == ["b"]
    assert [each["id"] for each in ask(by_socket(work), "/v1/entities")[1]["items"]] == ["b"]
    assert ask(by_tcp(url), "/pkgs/other/v1/status")[0] == 404
    for path in (work / ".slipstream").glob("graph.db*"):
        if not path.name.endswith("-lock"):
            path.unlink()
    process.wait_for("work: waiting: it goes on by itself")
    until(lambda: "work: incident (missing)" in ask(by_tcp(url), "/healthz")[1])
    assert ask(by_tcp(url), "/pkgs/work/healthz")[0] == 503
    assert ask(by_tcp(url), "/pkgs/notes/healthz") == (200, "ok\n")
    assert ask(by_tcp(url), "/v1/search", {"text": "a"})[0] == 200
    until(lambda: ask(by_tcp(url), "/pkgs/work/v1/search", {"text": "b"})[0] == 200)
    assert ask(by_tcp(url), "/pkgs/work/v1/search", {"text": "b"})[1]["degraded"] == ["graph", "engine"]
    status, told = ask(by_tcp(url), "/pkgs/work/v1/entities", {"id": "c", "type": "Note", "properties": {}})
    assert (status, told["incident"]["kind"]) == (503, "missing")
    process.send(signal.SIGTERM)
    process.ended()
    assert not _socket(notes).exists()
    assert not _socket(work).exists()


def test_a_pkg_that_can_not_be_opened_leaves_the_others_alone(stack: ExitStack, tmp_path: Path) -> None:
    notes = made(tmp_path / "notes")
    process, url = served(stack, notes, "--pkg", f"gone={tmp_path / 'gone'}", "--http", "0")
    until(lambda: ask(by_tcp(url), "/pkgs/gone/healthz")[0] == 503)
    assert ask(by_tcp(url), "/v1/status")[0] == 200
    assert ask(by_tcp(url), "/pkgs/gone/v1/status")[0] == 503
    process.send(signal.SIGTERM)
    assert process.ended() == 2
    assert "gone" in "".join(process.said)


@pytest.mark.parametrize("named", ["work", "=x", "a b=x", "../a=x", "pkg=x"])
def test_names_that_are_none_are_refused(stack: ExitStack, pkg: Path, named: str) -> None:
    process = command(pkg, "serve", "--pkg", named)
    stack.callback(process.close)
    assert process.ended() == 2
    assert "pkg: " in "".join(process.said)


# ------------------------------------------------------------------ addresses of their own


def test_metrics_have_an_address_where_nothing_else_is(stack: ExitStack, pkg: Path) -> None:
    process, url = served(stack, pkg, "--metrics", "0")
    assert url.endswith("/metrics")
    url = url.removesuffix("/metrics")
    assert "slipstream_engine_running 1.0" in ask(by_tcp(url), "/metrics")[1]
    assert ask(by_tcp(url), "/healthz") == (200, "ok\n")
    assert ask(by_tcp(url), "/v1/status")[0] == 404
    assert ask(by_tcp(url), "/")[0] == 404
    assert ask(by_tcp(url), "/v1/entities", {"id": "x", "type": "Note", "properties": {}})[0] == 404
    process.send(signal.SIGTERM)
    assert process.ended() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--http", "0.0.0.0:0"), "needs a token"),
        (("--metrics", "0.0.0.0:0"), "needs a token"),
        (("--http", "0.0.0.0:0", "--token-file", "{tokens}"), "--tls-cert"),
        (("--http", "0", "--behind-proxy"), "everybody comes from this machine"),
        (("--http", "0", "--token-file", "{tokens}.none"), "can not be read"),
        (("--http", "x"), "not [HOST:]PORT"),
        (("--http", "0", "--tls-cert", "{tokens}"), "TLS can not use"),
        (("--http", "0", "--tls-key", "{tokens}"), "without its certificate"),
        (("--backups", "{tokens}.none"), "make it first"),
    ],
)
def test_what_would_be_unsafe_is_refused(
    stack: ExitStack, pkg: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("0123456789abcdef\n")
    tokens.chmod(0o600)
    process = command(pkg, "serve", *(option.format(tokens=tokens) for option in options))
    stack.callback(process.close)
    assert process.ended() == 2
    assert said in " ".join("".join(process.said).split())


# ------------------------------------------------------------------ the service manager

LAUNCH = """
import fcntl, os, sys
for number, copy in enumerate([fcntl.fcntl(int(given), fcntl.F_DUPFD, 100) for given in sys.argv[1].split(",")], 3):
    os.dup2(copy, number)
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "2"
os.execv(sys.executable, [sys.executable, "-m", "slipstream", *sys.argv[2:]])
"""


def test_sockets_of_a_service_manager_are_served_and_it_is_told(stack: ExitStack, tmp_path: Path, pkg: Path) -> None:
    """As systemd does it: the sockets are there first, READY=1 comes when the PKG is open."""
    manager = stack.enter_context(closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)))
    short = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    manager.bind(str(short / "notify"))
    manager.settimeout(LONG_S)
    tcp = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
    private = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
    private.bind(str(short / "api.sock"))
    (short / "api.sock").chmod(0o600)
    private.listen()
    early = stack.enter_context(closing(socket.create_connection(tcp.getsockname(), timeout=LONG_S)))
    early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, f"{tcp.fileno()},{private.fileno()}", "--dir", str(pkg), "serve"],
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": str(short / "notify")},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(tcp.fileno(), private.fileno()),
    )
    stack.callback(process.wait, LONG_S)
    stack.callback(process.kill)
    assert manager.recv(1000) == b"READY=1\nSTATUS=running"
    response = http.client.HTTPResponse(early)  # it was asked before the server began
    response.begin()
    assert (response.status, response.read()) == (200, b"ok\n")
    assert ask(UnixConnection(short / "api.sock"), "/v1/status")[0] == 200
    assert ask(by_socket(pkg), "/v1/status")[0] == 200
    process.send_signal(signal.SIGTERM)
    assert manager.recv(1000) == b"STOPPING=1"
    assert process.wait(LONG_S) == 0
    assert (short / "api.sock").exists()  # it is the manager's


# ------------------------------------------------------------------ without the extra

WITHOUT = """
import sys
for name in ("fastapi", "starlette", "uvicorn"):
    sys.modules[name] = None
sys.argv = ["slipstream", *sys.argv[1:]]
from slipstream.cli.app import main
main()
"""


def _without_extra(*arguments: str) -> list[str]:
    return [sys.executable, "-c", WITHOUT, *arguments]  # from nothing: what is forked warm has imported the extra


@pytest.mark.parametrize("options", [("serve",), ("run", "--metrics", "0"), ("run", "--http", "0")])
def test_without_the_extra_it_says_what_to_install(pkg: Path, options: tuple[str, ...]) -> None:
    ended = subprocess.run(
        _without_extra("--dir", str(pkg), *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONG_S,
        check=False,
    )
    assert ended.returncode == 2
    assert "pip install 'slipstream-pkg[server]'" in ended.stderr


def test_without_the_extra_the_engine_runs_alone(pkg: Path) -> None:
    with subprocess.Popen(
        _without_extra("--dir", str(pkg), "run"),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "the engine runs alone" in process.stderr.readline()
        assert "running" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONG_S) == 0


# ------------------------------------------------------------------ TLS


def test_it_speaks_tls_by_tcp_and_not_by_the_socket(stack: ExitStack, pkg: Path, tmp_path: Path) -> None:
    certificate, key, tokens = _certificate(tmp_path)
    process, url = served(
        stack, pkg, "--http", "0", "--tls-cert", str(certificate), "--tls-key", str(key), "--token-file", str(tokens)
    )
    assert url.startswith("https://127.0.0.1:")
    port = int(url.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(certificate))
    with closing(http.client.HTTPSConnection("localhost", port, timeout=LONG_S, context=context)) as connection:
        connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {tokens.read_text().strip()}"})
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["incident"]) == (200, None)
    assert ask(by_socket(pkg), "/v1/status")[0] == 200
    with closing(http.client.HTTPConnection("localhost", port, timeout=LONG_S)) as plain, pytest.raises(OSError):  # noqa: PT011, PT012  (it is closed, somehow)
        plain.request("GET", "/v1/status")
        plain.getresponse()
    old = ssl.create_default_context(cafile=str(certificate))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with closing(http.client.HTTPSConnection("localhost", port, timeout=LONG_S, context=old)) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
    process.send(signal.SIGTERM)
    assert process.ended() == 0


def _certificate(folder: Path) -> tuple[Path, Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, key_file, tokens = (folder / each for each in ("cert.pem", "key.pem", "tokens"))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tokens.write_text("0123456789abcdef\n")
    tokens.chmod(0o600)
    return certificate, key_file, tokens
