"""Where a client finds its PKG: one of several of a server, behind TLS, in a directory with a server and without."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import slipstream
from slipstream.app.client.addresses import SOCKET
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.domain.errors import ConfigError, UnavailableError
from tests.e2e.processes import LONG_S, command, made


@contextmanager
def served(directory: Path, *options: str) -> Iterator[str]:
    """Serve on loopback; yields the URL."""
    process = command(directory, "serve", "--http", "127.0.0.1:0", *options)
    try:
        url = process.wait_for("serving http").split()[-1]
        process.wait_for("running")
        yield url
    finally:
        process.close()


def test_one_of_several_pkgs(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    with served(first, "--pkg", f"work={second}") as url:
        with slipstream.connect(f"{url}/pkgs/work") as work, slipstream.connect(url) as default:
            position = work.pkg.create_entity("Person", "ada", {"name": "Ada"})
            assert work.search("Ada", 1, after=position, timeout_s=LONG_S)[0].entity_id == "ada"
            assert work.verify().is_consistent  # a request, under the name of its PKG
            assert default.find(["ada"]) == []
        with slipstream.connect(second) as by_socket:
            assert isinstance(by_socket, RemoteSlipstream)
            assert by_socket.get("ada").type == "Person"


def test_a_directory_with_a_server_and_without(tmp_path: Path) -> None:
    directory = made(tmp_path / "pkg")
    with slipstream.connect(directory) as opened:
        assert opened.runs_engine
        opened.pkg.create_entity("Person", "ada")
    with served(directory):
        asked = slipstream.connect(directory)
        assert isinstance(asked, RemoteSlipstream)
        assert asked.get("ada").type == "Person"
    assert (directory / SOCKET).is_socket()  # left behind by the kill
    with asked, pytest.raises(UnavailableError, match="can not be reached"):
        asked.get("ada")
    with slipstream.connect(directory) as opened:
        assert opened.get("ada").type == "Person"


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init"):
        slipstream.connect(tmp_path / "nowhere")


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, certificate = made(tmp_path / "pkg"), tmp_path / "certificate.pem"
    certificate.write_bytes(_certificate())
    with served(directory, "--tls-cert", str(certificate)) as url:
        assert url.startswith("https://")
        with slipstream.connect(url) as slip, pytest.raises(ConfigError, match="SSL_CERT_FILE"):
            slip.status()
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(certificate))
        with slipstream.connect(url) as slip:
            assert slip.status().head == 0


def _certificate() -> bytes:
    """Return a certificate of 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slipstream")])
    now = datetime.now(UTC)
    made_of = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made_of.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + private
