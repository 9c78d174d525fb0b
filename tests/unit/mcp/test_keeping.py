"""A PKG that is opened anew: who asks meanwhile waits, and a failed opening is tried again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipstream.app.client.addresses import SOCKET
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.domain.errors import ConfigError, IncidentError, UnavailableError
from slipstream.mcp import keeping
from slipstream.mcp.keeping import Kept, ServerGone
from tests.until import until


class House:
    """Opens things that look like a PKG, as often as it is told to."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.closed: list[Any] = []
        self.may_open = threading.Event()
        self.may_open.set()
        self.faults = 0

    @contextmanager
    def opening(self) -> Iterator[Any]:
        assert self.may_open.wait(60)
        if self.faults:
            self.faults -= 1
            raise ConfigError("not now")
        made = SimpleNamespace(sync=SimpleNamespace(failure=None))
        self.opened.append(made)
        yield made
        self.closed.append(made)


def test_it_is_opened_anew_when_an_incident_has_halted_it() -> None:
    house = House()
    with Kept(house.opening) as kept:
        first = kept.slipstream
        house.faults = 2  # both are tried again
        first.sync.failure = IncidentError("the graph is gone")  # type: ignore[misc]
        until(lambda: len(house.opened) == 2, "the second opening")
        assert house.closed == [first]
        assert kept.slipstream is house.opened[1]
    assert house.closed == house.opened


def test_who_asks_meanwhile_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    with Kept(house.opening) as kept:
        house.may_open.clear()
        kept.slipstream.sync.failure = IncidentError("the graph is gone")  # type: ignore[misc]
        until(lambda: house.closed, "its closing")
        with monkeypatch.context() as impatient:
            impatient.setattr(keeping, "PATIENCE_S", 0.01)
            with pytest.raises(UnavailableError, match="being opened anew"):
                _ = kept.slipstream
        threading.Timer(0.05, house.may_open.set).start()
        assert kept.slipstream is not house.closed[0]


def test_a_server_has_gone_when_it_has_not_come_back_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    gone = ServerGone(tmp_path, lambda: now[0])
    remote = RemoteSlipstream.__new__(RemoteSlipstream)  # who is asked is all that counts

    def later(seconds: float) -> bool:
        now[0] += seconds
        return gone(remote)

    assert not gone(SimpleNamespace())  # type: ignore[arg-type]  # one that is not a server's
    assert not gone(remote)
    assert not later(keeping.RETURN_S - 2)
    (tmp_path / SOCKET).parent.mkdir()
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(SOCKET))
        listening.listen()
        assert not later(keeping.RETURN_S)  # it is back
    assert not later(2.0)  # its file is there still, and nobody listens
    assert not later(keeping.RETURN_S - 2)
    assert later(2.0)


def test_what_can_not_be_opened_at_first_is_said() -> None:
    house = House()
    house.faults = 1
    with pytest.raises(ConfigError, match="not now"), Kept(house.opening):
        pass
    assert house.opened == []
