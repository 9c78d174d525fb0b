"""Sockets of the file system: what is replaced, and what never is."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.http.sockets import SUN_PATH_MAX, bound_unix


def test_it_is_private_whatever_the_umask_is_and_leaves_that_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        bound = bound_unix(tmp_path / "s")
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    with closing(bound.sock):
        assert stat.S_IMODE((tmp_path / "s").lstat().st_mode) == 0o600
        with pytest.raises(ConfigError, match="answers"):
            bound_unix(tmp_path / "s")
        bound.remove()
        bound.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [0, 1])
def test_who_succeeds_an_owner_that_hangs_takes_its_place(tmp_path: Path, more: int) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    place = folder / ("s" * (SUN_PATH_MAX - len(os.fsencode(folder)) - 1 + more))
    old = bound_unix(place)
    new = bound_unix(place, succeeds=True)
    with closing(old.sock), closing(new.sock), closing(socket.socket(socket.AF_UNIX)) as client:
        assert (old.is_in_place, new.is_in_place) == (False, True)
        old.remove()
        client.connect(os.path.realpath(place))
        new.sock.settimeout(5.0)
        new.sock.accept()[0].close()
        new.remove()
        assert not new.is_in_place
    assert list(folder.iterdir()) == []


def test_a_link_to_something_else_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    kept = tmp_path / "slipstream-x" / "kept"
    kept.parent.mkdir()
    kept.write_text("kept")
    (tmp_path / "s").symlink_to(kept)
    with closing(bound_unix(tmp_path / "s").sock):
        assert stat.S_ISSOCK((tmp_path / "s").lstat().st_mode)
    assert kept.read_text() == "kept"


def test_only_its_own_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/graph.db").write_text("kept")
    bound = bound_unix(Path("data/s"))  # a relative path, as `--dir pkg` gives one
    with closing(bound.sock):
        Path("data/s").rename("data/old")
        Path("data/s").write_text("another one's")
        bound.remove()
    assert sorted(path.name for path in Path("data").iterdir()) == ["graph.db", "old", "s"]


@pytest.mark.parametrize("more", [0, 1])
def test_the_longest_path_that_a_socket_may_have_is_used(tmp_path: Path, more: int) -> None:
    folder = tmp_path / "d"
    name = "s" * (SUN_PATH_MAX - len(os.fsencode(folder)) - 1 + more)
    folder.mkdir()
    bound = bound_unix(folder / name)
    with closing(bound.sock), closing(socket.socket(socket.AF_UNIX)) as client:
        assert (folder / name).is_symlink() == bool(more)
        client.connect(os.path.realpath(folder / name))
        bound.remove()
    assert list(folder.iterdir()) == []
    assert bound.path.parent.exists() == (not more)
