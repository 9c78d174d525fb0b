"""Servers that hang, stand by and stop: who goes on, and who is told why."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.processes import command, made
from tests.e2e.test_serve import _socket, ask, by_socket, served
from tests.until import until


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def pkg(tmp_path: Path) -> Path:
    return made(tmp_path / "pkg")


def test_a_server_that_hung_is_succeeded_and_stands_by_when_it_comes_to(stack: ExitStack, pkg: Path) -> None:
    first, _ = served(stack, pkg)
    second = command(pkg, "serve")
    stack.callback(second.close)
    second.wait_for("standing by")
    first.send(signal.SIGSTOP)
    try:
        second.wait_for("running")
        assert ask(by_socket(pkg), "/v1/status?counts=false")[0] == 200
    finally:
        first.send(signal.SIGCONT)
    first.wait_for("standing by")
    assert ask(by_socket(pkg), "/v1/status?counts=false")[0] == 200
    second.send(signal.SIGTERM)
    assert second.ended() == 0
    first.wait_for("running")
    assert ask(by_socket(pkg), "/v1/status?counts=false")[0] == 200
    first.send(signal.SIGTERM)
    assert first.ended() == 0
    assert not os.path.lexists(_socket(pkg))


def test_why_one_of_several_pkgs_has_stopped_is_told_at_once(stack: ExitStack, pkg: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other")
    process, _ = served(stack, pkg, "--pkg", f"other={other}")
    until(lambda: _socket(other).exists() and ask(by_socket(other), "/healthz")[0] == 200)
    other.rename(tmp_path / "moved")
    process.wait_for("other: the engine has stopped: ")
    assert ask(by_socket(pkg), "/v1/status?counts=false")[0] == 200
