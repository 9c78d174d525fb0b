"""Where a server is: URLs, sockets of the living and of the dead."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from slipstream.app.client.addresses import SOCKET, Address, address_of, is_url, socket_in
from slipstream.domain.errors import InvalidInputError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:7700", "http://127.0.0.1:7700"),
        ("http://localhost", "http://localhost:80"),
        ("https://pkg.example/pkgs/notes/", "https://pkg.example:443/pkgs/notes"),
        ("HTTP://[::1]:7700/", "http://[::1]:7700"),
    ],
)
def test_a_url_is_an_address(url: str, shown: str) -> None:
    assert is_url(url)
    assert address_of(url).shown == shown


@pytest.mark.parametrize(
    "url", ["http://", "ftp://a", "http://a:99999", "http://me:hunter2@a", "http://a/?token=hunter2"]
)
def test_another_one_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        address_of(url)
    assert caught.value.field == "url"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["notes", "./http", "http:/one-slash", "C://x", ""])
def test_the_name_of_a_directory_is_no_url(name: str) -> None:
    assert not is_url(name)


def test_only_a_socket_at_which_somebody_listens_is_found(tmp_path: Path) -> None:
    place = tmp_path / SOCKET
    assert socket_in(tmp_path) is None
    place.parent.mkdir()
    place.write_text("no socket")
    assert socket_in(tmp_path) is None
    place.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        assert socket_in(tmp_path) is None  # bound, and not listening: as after a kill
        listening.listen()
        assert socket_in(tmp_path) == Address(socket=place)
    assert place.exists()
    assert socket_in(tmp_path) is None


def test_a_link_leads_to_a_socket_whose_path_would_be_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    (deep / SOCKET).parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        (deep / SOCKET).symlink_to(tmp_path / "s")
        assert socket_in(deep) == Address(socket=deep / SOCKET)
