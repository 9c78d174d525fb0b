"""Standard input as a file: known again, gone behind the import, and no copy left."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from slipstream.app.composition import DATA_FOLDER, initialise
from slipstream.cli import piped as module
from slipstream.cli.piped import piped
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.opening import SourceFile

TABLE = b"id,name\nada,Ada\n"


@pytest.fixture
def pkg(tmp_path: Path) -> Path:
    initialise(tmp_path / "pkg")
    return tmp_path / "pkg"


def _pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def _left(pkg: Path) -> list[Path]:
    folder = pkg / DATA_FOLDER / "piped"
    return list(folder.iterdir()) if folder.exists() else []


def test_the_same_content_is_the_same_source_and_no_copy_stays(pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    identities = []
    for data in (TABLE, TABLE, TABLE + b"bab,Charles\n"):
        _pipe(monkeypatch, data)
        with piped(pkg, None, "csv") as path:
            assert (path.name, path.read_bytes()) == ("piped.csv", data)
            assert path.parent.stat().st_mode & 0o077 == 0
            identities.append(SourceFile(path).identity)
        assert _left(pkg) == []
    assert identities[0] == identities[1] != identities[2]


def test_what_ends_in_the_middle_leaves_nothing(pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Ended()))
    with pytest.raises(KeyboardInterrupt), piped(pkg, "people.csv", None):
        raise AssertionError
    assert _left(pkg) == []
    _pipe(monkeypatch, TABLE)
    with pytest.raises(KeyboardInterrupt), piped(pkg, "people.csv", None):
        raise KeyboardInterrupt
    assert _left(pkg) == []


def test_what_a_killed_process_left_goes_in_time(pkg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = pkg / DATA_FOLDER / "piped" / "left"
    left.mkdir(parents=True)
    (left / "people.csv").write_bytes(TABLE)
    _pipe(monkeypatch, TABLE)
    with piped(pkg, None, "csv"):
        assert left.exists()  # somebody may be importing it
    monkeypatch.setattr(module, "_LEFT_AFTER_S", -1.0)
    _pipe(monkeypatch, TABLE)
    with piped(pkg, None, "csv"):
        assert not left.exists()


@pytest.mark.parametrize(("name", "form"), [(None, None), (None, "xls"), ("../people.csv", "csv"), ("a/b.csv", None)])
def test_what_nobody_can_name_is_refused(pkg: Path, name: str | None, form: str | None) -> None:
    with pytest.raises(InvalidInputError, match="name: say what is piped in"), piped(pkg, name, form):
        raise AssertionError


def test_without_standard_input_or_a_pkg_it_says_so(
    pkg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"slipstream\.toml"), piped(tmp_path / "nowhere", "people.csv", None):
        raise AssertionError
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed"), piped(pkg, "people.csv", None):
        raise AssertionError
