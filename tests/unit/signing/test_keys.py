"""The files of a signing key: made once, for their owner alone, and never in the place of another."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.signing.documents import read_public_key, verify
from slipstream.signing.keys import PRIVATE, PUBLIC, SigningKey, key_id_in, known_public_keys, told_by_others

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from slipstream.signing import keys
named, count = sys.argv[2], int(sys.argv[3])
def counted(event, args):
    global count
    if event == named:
        count -= 1
        if count < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(counted)
keys.SigningKey(Path(sys.argv[1])).key_id
"""
TOLD = """
import sys
from pathlib import Path
from slipstream.signing.keys import SigningKey
sys.stdin.readline()
print(SigningKey(Path(sys.argv[1])).key_id)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "signing"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_is_made_once_and_is_for_its_owner_alone(folder: Path) -> None:
    assert key_id_in(folder) is None
    before = os.umask(0)
    try:
        key = SigningKey(folder)
        key_id = key.key_id
    finally:
        os.umask(before)
    assert {path.name for path in folder.iterdir()} == {PRIVATE, PUBLIC, f"{key_id}.pem"}
    assert (_mode(folder), _mode(folder / PRIVATE)) == (0o700, 0o600)
    assert read_public_key((folder / PUBLIC).read_text()) == key.public_key
    assert (SigningKey(folder).key_id, key_id_in(folder)) == (key_id, key_id)
    assert known_public_keys(folder) == {key_id: key.public_pem}


def test_a_lost_key_is_followed_by_a_new_one_and_its_signatures_stay(folder: Path) -> None:
    first = SigningKey(folder)
    document = first.sign({"said": "before"})
    (folder / PRIVATE).unlink()
    second = SigningKey(folder)
    assert second.key_id != first.key_id
    assert read_public_key((folder / PUBLIC).read_text()) == second.public_key
    kept = known_public_keys(folder)
    assert kept.keys() == {first.key_id, second.key_id}
    assert verify(document, read_public_key(kept[first.key_id])).key_id == first.key_id


def test_public_files_that_went_come_back(folder: Path) -> None:
    key_id = SigningKey(folder).key_id
    (folder / PUBLIC).unlink()
    (folder / f"{key_id}.pem").write_text("other")
    assert SigningKey(folder).key_id == key_id
    assert known_public_keys(folder)[key_id] == (folder / PUBLIC).read_text() == SigningKey(folder).public_pem


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff"])
def test_a_damaged_key_is_an_error_and_stays(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / PRIVATE).write_bytes(content)
    with pytest.raises(ConfigError, match="move it away"):
        SigningKey(folder).sign({})
    assert (folder / PRIVATE).read_bytes() == content


def test_no_part_of_a_damaged_key_is_told(folder: Path) -> None:
    assert SigningKey(folder).key_id
    text = (folder / PRIVATE).read_text()
    secret = text.splitlines()[1]
    (folder / PRIVATE).write_text(text.replace("-----END", "x-----END"))
    with pytest.raises(ConfigError) as caught:
        SigningKey(folder).sign({})
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_wrong_mode_is_told(folder: Path) -> None:
    assert SigningKey(folder).key_id
    assert told_by_others(folder) == []
    (folder / PRIVATE).chmod(0o640)
    assert told_by_others(folder) == [folder / PRIVATE]


def test_a_place_that_holds_no_key_is_named(folder: Path) -> None:
    folder.write_text("in the way")
    with pytest.raises(UnavailableError, match="signing"):
        SigningKey(folder).sign({})


@pytest.mark.parametrize("event", ["open", "os.link", "os.remove", "os.rename", "os.mkdir"])
def test_a_kill_while_it_is_made_leaves_no_half_key(folder: Path, event: str) -> None:
    folder.parent.mkdir(exist_ok=True)
    code, killed = -signal.SIGKILL, 0
    while code == -signal.SIGKILL:
        run = subprocess.run(
            [sys.executable, "-c", _begun_late(event), str(folder), event, str(killed)],
            capture_output=True,
            check=False,
        )
        code = run.returncode
        if code == -signal.SIGKILL:
            killed += 1
            found = key_id_in(folder)  # none, or a whole one
            assert told_by_others(folder) == []
            key_id = SigningKey(folder).key_id
            assert found in (None, key_id)
            assert {path.name for path in folder.iterdir() if ".private." in path.name} == set()
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    assert code == 0, run.stderr
    assert killed > 0


def _begun_late(event: str) -> str:
    """Return the program; imports open files too, so it counts none of those."""
    if event != "open":
        return KILLED_AT
    loaded = "from cryptography.hazmat.primitives.asymmetric import ed25519\n"
    loaded += "from cryptography.hazmat.primitives import serialization\nimport tempfile\n"
    loaded += "keys.SigningKey(Path(tempfile.mkdtemp())).key_id\n"
    return KILLED_AT.replace("named, count", f"{loaded}named, count")


def test_processes_that_make_it_at_once_agree(folder: Path) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = {process.communicate(timeout=60)[0].strip() for process in started}
    assert told == {key_id_in(folder)}
    assert {path.name for path in folder.iterdir()} == {PRIVATE, PUBLIC, f"{told.pop()}.pem"}
