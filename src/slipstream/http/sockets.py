"""The sockets of a server: bound by ourselves, so that nobody else can connect for a moment."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream.domain.errors import ConfigError, InvalidInputError

logger = logging.getLogger(__name__)

SOCKET_NAME = "serve.sock"
"""The name of a PKG's socket in its data folder; follow it if it is a symbolic link."""
SUN_PATH_MAX = 103 if sys.platform == "darwin" else 107
"""How long the path of a socket may be, in bytes."""
HAS_UNIX_SOCKETS = hasattr(socket, "AF_UNIX")
"""Whether there are sockets in the file system: Python has none on Windows, where HTTP is all there is."""
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where HTTP is served: `[HOST:]PORT`."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def parsed_address(text: str, field: str) -> Address:
    """Return host and port of `[HOST:]PORT`, on loopback without a host; raises `InvalidInputError`."""
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535 or (colon and not host):
        raise InvalidInputError(f"{text!r} is not [HOST:]PORT", field=field)
    return Address(host.strip("[]") or "127.0.0.1", int(port))


def is_loopback(host: str) -> bool:
    """Whether an address or a resolved name is of the loopback interface."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def resolved(address: Address) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """Return what an address leads to; raises `ConfigError` for one that leads nowhere."""
    try:
        found = socket.getaddrinfo(
            address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, OverflowError) as error:
        raise ConfigError(f"{shown(address)} is no address to serve on ({error}): use an IP address") from error
    family, _, _, _, target = found[0]
    return family, target


def bound_tcp(address: Address) -> socket.socket:
    """Return a bound socket; raises `ConfigError` for an address that can not be had."""
    family, target = resolved(address)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"can not serve on {shown(address)} ({error.strerror}): choose another address or port; "
            "0 takes a free one"
        ) from error
    return sock


def shown(address: Address) -> str:
    """Return an address for people."""
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


def url_of(sock: socket.socket, *, is_tls: bool) -> str:
    """Return the address of a bound socket as a URL, without a path."""
    name: tuple[Any, ...] = sock.getsockname()
    return f"{'https' if is_tls else 'http'}://{shown(Address(str(name[0]), int(name[1])))}"


# ------------------------------------------------------------------ the socket of a PKG


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A bound socket in the file system, and how it is taken away again."""

    sock: socket.socket
    path: Path
    """Where it is bound: at its place, or in a private folder that a link at its place leads to."""
    place: Path
    identity: tuple[int, int]

    @property
    def is_in_place(self) -> bool:
        """Whether who connects at its place comes to this socket: no successor has put its own there."""
        try:
            told = self.place.stat()
        except OSError:
            return False
        return (told.st_dev, told.st_ino) == self.identity

    def remove(self) -> None:
        """Remove the file, if it is still this socket's."""
        with contextlib.suppress(FileNotFoundError):
            if _identity(self.path) != self.identity:
                return
            self.path.unlink()
        if self.place.is_symlink() and Path(os.readlink(self.place)) == self.path:
            self.place.unlink()
            with contextlib.suppress(OSError):
                self.path.parent.rmdir()  # the private folder, which nothing else is in


def bound_unix(place: Path, *, succeeds: bool = False) -> UnixSocket:
    """
    Return a socket bound at a place, which its owner alone may use from the first instant.

    A stale one is replaced; one that answers too where this process `succeeds` its owner, which may hang. Where the
    path is too long for a socket, it is bound in a private folder instead, and a symbolic link at the place leads
    there. Raises `ConfigError` when somebody answers there, or when something else is in the way.
    """
    place = place.absolute()
    _clear(place, succeeds=succeeds)
    path = place
    if len(os.fsencode(path)) > SUN_PATH_MAX:
        path = Path(tempfile.mkdtemp(prefix="slipstream-")) / SOCKET_NAME  # made with the mode 0700
        logger.warning("%s is too long for a socket: it is bound at %s, and a link leads there", place, path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
        sock.listen(BACKLOG)
        if path != place:
            place.symlink_to(path)
    except OSError as error:
        sock.close()
        raise ConfigError(
            f"the socket {place} can not be made ({error.strerror or error}): a PKG must be on a file system that "
            "has sockets, with room for a file"
        ) from error
    finally:
        os.umask(before)
    return UnixSocket(sock, path, place, _identity(path))


def _identity(path: Path) -> tuple[int, int]:
    told = path.lstat()
    return told.st_dev, told.st_ino


def _clear(place: Path, *, succeeds: bool) -> None:
    """Remove a stale socket; raises `ConfigError` when it is none."""
    try:
        mode = place.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISSOCK(mode) or stat.S_ISLNK(mode)):
        raise ConfigError(f"{place} is in the way of the server's socket, and is none: move it away")
    if not succeeds and answers(place):
        raise ConfigError(f"a server answers at {place} already: use it, or end it first")
    target = Path(os.path.realpath(place))
    is_link = place.is_symlink()
    place.unlink(missing_ok=True)
    if is_link and target.parent.name.startswith("slipstream-") and target.name == SOCKET_NAME:
        with contextlib.suppress(OSError):  # what is left of a process that was killed; it may be somebody else's
            target.unlink()
            target.parent.rmdir()


def answers(place: Path) -> bool:
    """Whether somebody listens at a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1.0)
        try:
            asking.connect(os.path.realpath(place))
        except TimeoutError:
            return True  # its backlog is full: somebody is there
        except OSError:
            return False
    return True


# ------------------------------------------------------------------ the service manager


def activated(descriptors: Sequence[int]) -> Iterator[socket.socket]:
    """Yield the sockets that a service manager has bound; raises `ConfigError` for one that does not listen."""
    for number in descriptors:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ConfigError("a socket of the service manager does not listen: use ListenStream= in its unit")
        yield sock


def is_private(sock: socket.socket) -> bool:
    """Whether an activated socket of the file system may be used by its owner alone, who is who runs this process."""
    try:
        told = os.stat(sock.getsockname())
    except OSError:
        return False
    return told.st_uid == os.geteuid() and not told.st_mode & 0o077


def tell_manager(state: str, address: str) -> None:
    """Tell the service manager how this process stands (`sd_notify`), if one listens."""
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as telling:
        try:
            telling.sendto(state.encode(), target)
        except OSError as error:
            logger.warning("the service manager at %s can not be told %r (%s)", address, state, error)
