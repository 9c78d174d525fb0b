"""Listeners as somebody asks for them: checked, bound, and with what is told to people about them."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from slipstream.domain.errors import ConfigError
from slipstream.http.listening import Listener
from slipstream.http.sockets import (
    Address,
    UnixSocket,
    activated,
    bound_tcp,
    bound_unix,
    is_loopback,
    is_private,
    resolved,
    shown,
    url_of,
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """On which terms others than this machine's users are let in."""

    has_tokens: bool = False
    behind_proxy: bool = False
    """Whether a proxy in front speaks TLS, and hands requests on to here."""
    tls: ssl.SSLContext | None = None
    hosts: frozenset[str] = frozenset()
    """Further names by which the server may be asked."""

    def check(self, host: str, where: str, *, only_pages: bool) -> None:
        """Raise `ConfigError` for an IP address by which others could come in on lesser terms."""
        if self.behind_proxy and not self.has_tokens:
            raise ConfigError("behind a proxy everybody comes from this machine: give a token file (--token-file)")
        if is_loopback(host):
            return
        if not self.has_tokens:
            raise ConfigError(
                f"serving on {where} needs a token, for others can reach it: give a token file, or serve on 127.0.0.1"
            )
        if self.tls is None and not self.behind_proxy and not only_pages:
            raise ConfigError(
                f"serving on {where} would show tokens and data to whoever listens in: give --tls-cert and "
                "--tls-key, or say --behind-proxy when a proxy in front speaks TLS"
            )


def tls_of(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Return TLS with a certificate and its key; raises `ConfigError` when they can not be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"TLS can not use {certificate} and {key or 'its key'} ({error}): give PEM files"
        ) from error
    return context


def check_address(address: Address, terms: Terms, *, only_pages: bool = False) -> None:
    """Raise `ConfigError` for an address that can not be served on these terms, before anybody waits for it."""
    _, target = resolved(address)
    terms.check(str(target[0]), shown(address), only_pages=only_pages)


def tcp_listener(address: Address, terms: Terms, *, only_pages: bool = False) -> Listener:
    """Return a listener on an address; raises `ConfigError` for one that can not be had, or not on these terms."""
    return _over_tcp(bound_tcp(address), shown(address), terms, only_pages=only_pages, host=address.host)


def _over_tcp(sock: socket.socket, where: str, terms: Terms, *, only_pages: bool = False, host: str = "") -> Listener:
    try:
        terms.check(str(sock.getsockname()[0]), where, only_pages=only_pages)
    except ConfigError:
        sock.close()
        raise
    url = url_of(sock, is_tls=terms.tls is not None)
    own = frozenset({host.lower()} - {""})
    return Listener(sock, url, tls=terms.tls, only_pages=only_pages, hosts=terms.hosts | own)


def activated_listeners(descriptors: Sequence[int], terms: Terms) -> Iterator[Listener]:
    """Yield listeners on the sockets that the service manager has bound; raises `ConfigError` as for any other."""
    for sock in activated(descriptors):
        if sock.family != socket.AF_UNIX:
            yield _over_tcp(sock, url_of(sock, is_tls=terms.tls is not None), terms)
            continue
        is_local = is_private(sock)
        path = os.fsdecode(sock.getsockname())
        if not (is_local or terms.has_tokens):
            raise ConfigError(
                f"others may connect to the socket {path}: give it SocketMode=0600 and this user, or give a token "
                "file"
            )
        yield Listener(sock, path, is_local=is_local, hosts=terms.hosts)


def pkg_listener(place: Path, pkg: str, stack: ExitStack) -> tuple[Listener, UnixSocket]:
    """
    Return a listener on a PKG's own socket, which is removed when the stack ends, and that socket.

    It is for who runs the PKG's engine: another process that still has a socket there has lost it.
    """
    bound = bound_unix(place, succeeds=True)
    stack.callback(bound.remove)
    return Listener(bound.sock, str(place), pkg=pkg, is_local=True), bound
