"""The signing key of a PKG as its owner meets it: the doctor, backups and restores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import slipstream
from slipstream.app.composition import backups_of
from slipstream.cli.app import app
from slipstream.signing.keys import SigningKey, key_id_in


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    with slipstream.open(tmp_path / "pkg", create=True, run=False) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
    return tmp_path / "pkg"


def _folder(directory: Path) -> Path:
    return directory / ".slipstream" / "signing"


def _diagnosed(directory: Path) -> tuple[str, str, str]:
    told = CliRunner().invoke(app, ["--dir", str(directory), "doctor", "--json"])
    (found,) = [each for each in json.loads(told.stdout)["findings"] if each["name"] == "signing key"]
    return found["level"], found["said"], found["fix"]


def test_the_doctor_tells_how_the_key_stands(directory: Path) -> None:
    assert _diagnosed(directory)[0] == "ok"
    assert not _folder(directory).exists()
    key_id = SigningKey(_folder(directory)).key_id
    assert _diagnosed(directory)[:2] == ("ok", key_id)
    private = _folder(directory) / "private.pem"
    private.chmod(0o644)
    level, said, fix = _diagnosed(directory)
    assert (level, said) == ("fail", "others may read: private.pem")
    assert f"chmod 600 {private}" in fix
    private.write_text("damaged")
    private.chmod(0o600)
    assert _diagnosed(directory)[0] == "fail"
    private.unlink()
    level, said, _ = _diagnosed(directory)
    assert level == "warn"
    assert "gone" in said
    assert not private.exists()


def test_no_backup_holds_the_key_and_a_restore_leaves_the_one_that_is_there(directory: Path, tmp_path: Path) -> None:
    key = SigningKey(_folder(directory))
    secret = (_folder(directory) / "private.pem").read_text().splitlines()[1].encode() if key.key_id else b""
    made = backups_of(directory).backup(tmp_path / "backups").path
    for path in made.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()

    told = CliRunner().invoke(app, ["--dir", str(directory), "restore", str(made), "--replace"])
    assert told.exit_code == 0, told.output
    assert key_id_in(_folder(directory)) == key.key_id
    assert (_folder(directory) / "private.pem").stat().st_mode & 0o777 == 0o600

    elsewhere = tmp_path / "elsewhere"
    told = CliRunner().invoke(app, ["--dir", str(elsewhere), "restore", str(made)])
    assert told.exit_code == 0, told.output
    assert key_id_in(_folder(elsewhere)) is None


def test_a_copied_directory_signs_as_the_same_pkg(directory: Path, tmp_path: Path) -> None:
    key_id = SigningKey(_folder(directory)).key_id
    shutil.copytree(directory, tmp_path / "copy")
    assert SigningKey(_folder(tmp_path / "copy")).key_id == key_id
