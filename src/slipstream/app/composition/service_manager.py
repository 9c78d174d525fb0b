"""What a service manager (systemd, say) has told this process: sockets that it has bound, and where it listens."""

from __future__ import annotations

import os
from dataclasses import dataclass

_FIRST_DESCRIPTOR = 3


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The service manager of this process, if there is one."""

    notify_address: str = ""
    """The socket at which it is told how this process stands (`sd_notify`); empty if nobody listens."""
    descriptors: tuple[int, ...] = ()
    """The sockets that it has bound for this process (`sd_listen_fds`)."""


def service_manager() -> ServiceManager:
    """Return what the environment says; a process that this one starts is not told the same."""
    environment = os.environ
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    notify_address = environment.pop("NOTIFY_SOCKET", "")
    is_ours = pid == str(os.getpid()) and count.isdigit()
    first = _FIRST_DESCRIPTOR
    return ServiceManager(notify_address, tuple(range(first, first + int(count))) if is_ours else ())
