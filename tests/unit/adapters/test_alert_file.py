"""The memory of the alerts in a file of its own: whole or as before, and the owner's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slipstream.adapters.alerts.memory_file import SLOT_BYTES, AlertFile
from slipstream.domain.errors import LeaseLostError, UnavailableError

SIZE = 2 * SLOT_BYTES


def test_what_is_set_last_is_there_after_a_reopen_and_the_size_stays(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    file = AlertFile(path, lambda: True)
    assert file.get("alerts") is None
    for number in range(5):
        file.set("alerts", f"state {number} ä")
        assert AlertFile(path, lambda: False).get("alerts") == f"state {number} ä"
        assert path.stat().st_size == SIZE
    file.set("alerts", None)
    assert file.get("alerts") is None
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged_bytes", [1, 20, 60, SLOT_BYTES])
def test_a_torn_writing_leaves_the_one_before(tmp_path: Path, damaged_bytes: int) -> None:
    path = tmp_path / "alerts"
    file = AlertFile(path, lambda: True)
    file.set("alerts", "before")
    file.set("alerts", "torn " * 50)
    with path.open("r+b") as raw:
        raw.seek(SLOT_BYTES)
        raw.write(os.urandom(damaged_bytes))
    assert file.get("alerts") == "before"
    file.set("alerts", "after")
    assert file.get("alerts") == "after"


def test_nonsense_of_any_length_counts_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    for data in (b"", b"x" * 10, os.urandom(SIZE), b"\0" * SIZE):
        path.write_bytes(data)
        assert AlertFile(path, lambda: True).get("alerts") is None
    AlertFile(path, lambda: True).set("alerts", "sound")
    assert AlertFile(path, lambda: True).get("alerts") == "sound"


def test_who_does_not_run_the_engine_reads_and_does_not_write(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    AlertFile(path, lambda: True).set("alerts", "the owner's")
    with pytest.raises(LeaseLostError):
        AlertFile(path, lambda: False).set("alerts", "a guest's")
    assert AlertFile(path, lambda: False).get("alerts") == "the owner's"


def test_what_can_not_be_kept_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="too many bytes"):
        AlertFile(tmp_path / "alerts", lambda: True).set("alerts", os.urandom(SLOT_BYTES).hex())
    with pytest.raises(UnavailableError, match="can not be written"):
        AlertFile(tmp_path / "gone" / "alerts", lambda: True).set("alerts", "x")
    with pytest.raises(UnavailableError, match="can not be read"):
        AlertFile(tmp_path, lambda: True).get("alerts")
