"""Files that hold no JSON are known by their beginning, and what they are is said."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sqlite3
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.events.formats.kinds import binary_kind, foreign_kind
from slipstream.events.lines import checked_chunks

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
ROW = '{"type": "node", "id": "1"}\n'


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (gzip.compress(ROW.encode(), mtime=0), "gzip"),
        (bz2.compress(ROW.encode()), "bzip2"),
        (lzma.compress(ROW.encode()), "xz"),
        (PNG, "picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "picture"),
        (b"PK\x03\x04\x14\0", "zip"),
        (ROW.encode("utf-16"), "UTF-16"),
        (ROW.encode("utf-16-le"), "UTF-16"),
        (ROW.encode("utf-32"), "UTF-32"),
        (b"\0" * 4096, "binary"),
    ],
)
def test_what_is_no_text_is_known_in_files_and_streams(head: bytes, word: str) -> None:
    assert word in (binary_kind(head) or "")
    assert word in (foreign_kind(head) or "")


def test_a_database_is_known(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE t(a)")
    connection.close()
    assert "slipstream export" in (foreign_kind((tmp_path / "x.db").read_bytes()) or "")


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b'"_id","_labels"\n"0",":A"\n', "CSV"),
        (b"a;b\n1;2\n", "CSV"),
        (b"a\tb\n", "CSV"),
        (b"\xef\xbb\xbfid,name\n1,x", "CSV"),
        (b'<?xml version="1.0"?>\n<graphml>', "GraphML"),
        (b"CREATE (:Person)", "no JSON"),
        (b"x" * 65_536, "no JSON"),
    ],
)
def test_other_texts_are_known_in_files_only(head: bytes, word: str) -> None:
    assert word in (foreign_kind(head) or "")
    assert binary_kind(head) is None, "a live pipe may say something else first"


@pytest.mark.parametrize(
    "head",
    [b"", b"\n\n", ROW.encode(), b"\xef\xbb\xbf" + ROW.encode(), b"noise\n" + ROW.encode(), b"\r\n  [", b"# x\n {"],
)
def test_what_may_hold_json_is_let_through(head: bytes) -> None:
    assert foreign_kind(head) is None
    assert list(checked_chunks([head, PNG], "f", "rows")) == [head, PNG]


def test_a_wrong_file_is_refused_as_a_whole_with_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"people.csv is CSV: .*Nothing of it was taken: give change events"):
        list(checked_chunks([b"a,b\n"], "people.csv", "change events"))
