"""Records come out together by their key, in the order in which they were added, however many there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.importers.rdf import buckets
from slipstream.importers.rdf.buckets import Buckets


def _filled(folder: Path) -> Buckets:
    found = Buckets(folder)
    for number in range(300):
        found.add([f"key {number % 30}", number])
    return found


def _all(filled: Buckets) -> list[tuple[str, list[int]]]:
    return [(key, [number for _, number in records]) for groups in filled.groups() for key, records in groups.items()]


@pytest.mark.parametrize("size_bytes", [24_000_000, 100])
def test_records_of_a_key_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_bytes: int) -> None:
    monkeypatch.setattr(buckets, "_SIZE_BYTES_MAX", size_bytes)
    monkeypatch.setattr(buckets, "_BUFFERED_MAX", 100)
    filled = _filled(tmp_path / "one")
    found = _all(filled)
    assert dict(found) == {f"key {number}": list(range(number, 300, 30)) for number in range(30)}
    assert len(found) == 30
    assert _all(filled) == found  # and again
    assert _all(_filled(tmp_path / "two")) == found
    assert bool(list(tmp_path.rglob("*.parts"))) == (size_bytes == 100)


def test_a_key_that_is_too_large_alone_comes_out_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_SIZE_BYTES_MAX", 50)
    filled = Buckets(tmp_path / "one")
    for number in range(200):
        filled.add(["key", number])
    assert _all(filled) == [("key", list(range(200)))]
