"""Broken vector files of an embedded Chroma are made anew from its log; what can not be is said, not hidden."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.chroma.codec import stamp_metadata
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, SearchFilter, VectorRecord
from slipstream.testkit.records import OTHER_SPACE, SPACE, make_record, unit_vector
from slipstream.testkit.suites.index_support import assert_holds, assert_search

_PICKLE = "index_metadata.pickle"


def _filled(path: Path) -> list[VectorRecord]:
    """Write enough for Chroma to have rewritten its files several times; return what is left after deletions."""
    index = ChromaIndex.embedded(path)
    records = [make_record(f"n{i:05}") for i in range(1500)]
    for start in range(0, len(records), 500):
        index.upsert(records[start : start + 500])
    records[:400] = [make_record(record.stamp.key, 2) for record in records[:400]]
    index.upsert(records[:400])
    index.delete([Deletion(record.stamp.key, Position(3)) for record in records[1200:]])
    index.close()
    return records[:1200]


def _segments(path: Path) -> list[Path]:
    return sorted(file.parent for file in path.glob(f"*/{_PICKLE}"))


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _scramble(file: Path) -> None:
    file.write_bytes(bytes(255 - byte for byte in file.read_bytes()))


@pytest.mark.parametrize("damage", [_cut, _scramble, Path.unlink], ids=["cut", "scrambled", "missing"])
@pytest.mark.parametrize("name", [_PICKLE, "data_level0.bin", "header.bin", "link_lists.bin", "length.bin"])
def test_broken_files_are_rebuilt_from_the_log(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    left = _filled(tmp_path)
    assert _segments(tmp_path), "Chroma was to have written its files"
    for segment in _segments(tmp_path):
        damage(segment / name)
    index = ChromaIndex.embedded(tmp_path)
    try:
        assert_holds(index, left)
        assert_search(index, unit_vector("query"), 10, SearchFilter(), left)
        gone = [entity_key("n01300")]
        assert index.stamps(gone)[gone[0]].tombstone == 3
    finally:
        index.close()


def test_vectors_that_the_log_lacks_are_absent_until_they_are_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = {record.stamp.key: record for record in _filled(tmp_path)}
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as connection, connection:
        connection.execute("DELETE FROM embeddings_queue WHERE id BETWEEN 'e:n00900' AND 'e:n00949'")
    for segment in _segments(tmp_path):
        _cut(segment / _PICKLE)
    index = ChromaIndex.embedded(tmp_path)
    try:
        assert "lacks 50" in caplog.text
        lost = [entity_key(f"n{number:05}") for number in range(900, 950)]
        assert set(index.stamps(list(left))) == set(left)
        assert index.vectors(list(left), SPACE).keys() == left.keys() - set(lost)
        hits = index.search(SPACE, unit_vector("query"), len(left), SearchFilter())
        assert {hit.stamp.key for hit in hits} == left.keys() - set(lost)
        index.delete([Deletion(lost[0], Position(100))])
        index.upsert([left[key] for key in lost[1:]])
        assert index.vectors(list(left), SPACE).keys() == left.keys() - {lost[0]}
    finally:
        index.close()


def test_a_second_index_on_the_directory_is_refused(tmp_path: Path) -> None:
    index = ChromaIndex.embedded(tmp_path)
    with pytest.raises(UnavailableError, match="in use"):
        ChromaIndex.embedded(tmp_path)
    script = f"""
from pathlib import Path
from slipstream.adapters.indexes.chroma import ChromaIndex
ChromaIndex.embedded(Path({str(tmp_path)!r}))
"""
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert "UnavailableError" in other.stderr
    index.close()
    ChromaIndex.embedded(tmp_path).close()


@pytest.mark.parametrize("cut_after", ["record", "tombstone"])
def test_a_call_cut_short_is_settled_on_opening(tmp_path: Path, cut_after: str) -> None:
    """Leave what a kill between two writes leaves, then open."""
    index = ChromaIndex.embedded(tmp_path)
    old, kept = make_record("ada", 5), make_record("ada", 9, OTHER_SPACE)
    index.upsert([old])
    key = old.stamp.key
    if cut_after == "record":  # an upsert into the other space, whose tombstone was to be removed
        index._collections.bury({key.encode(): Position(6)})
        index._collections.write(OTHER_SPACE, {key.encode(): (kept.vector, stamp_metadata(kept.stamp))})
    else:  # a deletion, whose record was to be removed
        index._collections.bury({key.encode(): Position(6)})
    index.close()
    again = ChromaIndex.embedded(tmp_path)
    try:
        assert_holds(again, [kept] if cut_after == "record" else [])
        assert again.stamps([key])[key].tombstone == (None if cut_after == "record" else 6)
        again.vacuum(Position(100))
        assert_holds(again, [kept] if cut_after == "record" else [])
    finally:
        again.close()


def test_what_chroma_would_lose_silently_is_refused(tmp_path: Path) -> None:
    index = ChromaIndex.embedded(tmp_path)
    try:
        for value in (float("nan"), float("inf"), 2**63):
            with pytest.raises(InvalidInputError, match="metadata"):
                index.upsert([make_record("good"), make_record("bad", metadata={"x": value})])
        assert_holds(index, [])
    finally:
        index.close()


def test_a_database_that_a_kill_left_half_made_is_made_to_its_end(tmp_path: Path) -> None:
    ChromaIndex.embedded(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as connection, connection:
        made = connection.execute("SELECT name, sql FROM sqlite_schema WHERE name = 'migrations'").fetchall()
    (tmp_path / "chroma.sqlite3").unlink()
    with closing(sqlite3.connect(tmp_path / "chroma.sqlite3")) as connection, connection:
        connection.execute(made[0][1])  # the first of Chroma's steps
    records = [make_record("ada", 5)]
    index = ChromaIndex.embedded(tmp_path)
    try:
        index.upsert(records)
        assert_holds(index, records)
    finally:
        index.close()
