"""CSV that loses nothing: what is read back by its rules is what was written."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slipstream.cli.csv_rows import csv_lines

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(10**9), 10**9).map(lambda second: datetime.fromtimestamp(second, UTC)),
)


def _read(text: str) -> list[list[Any]]:
    """Read by the page's rules alone: in quotes it is a text, else a number, a word, a time or nothing."""
    rows: list[list[Any]] = []
    at = 0
    while at < len(text):
        row: list[Any] = []
        while True:
            if text[at] == '"':
                end = at + 1
                while text[end] != '"' or text[end : end + 2] == '""':
                    end += 2 if text[end] == '"' else 1
                row.append(text[at + 1 : end].replace('""', '"'))
                at = end + 1
            else:
                end = min(found for found in (text.find(",", at), text.find("\n", at)) if found >= 0)
                row.append(_bare(text[at:end]))
                at = end
            at += 1
            if text[at - 1] == "\n":
                break
        rows.append(row)
    return rows


def _bare(word: str) -> Any:
    if not word:
        return None
    if word in ("Infinity", "-Infinity"):
        return float(word)
    try:
        return json.loads(word)
    except ValueError:
        return datetime.fromisoformat(word)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=4), min_size=1, max_size=5))
def test_what_is_read_back_is_what_was_written(rows: list[list[Any]]) -> None:
    columns = [f"c{number}" for number in range(2)]
    written = [dict(zip(columns, row, strict=False)) for row in rows]
    text = "".join(csv_lines(columns, written))
    found = _read(text)
    assert found[0] == columns
    for before, after in zip(written, found[1:], strict=True):
        assert list(map(repr, before.values())) == list(map(repr, after))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_reader_of_csv_gets_the_texts(texts: list[str]) -> None:
    text = "".join(csv_lines(["a", 'b"\n,'], [{"a": each, 'b"\n,': each} for each in texts]))
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert found == [["a", 'b"\n,'], *([each, each] for each in texts)]


def test_what_csv_has_no_form_for_is_told_in_quotes() -> None:
    row = {
        "list": [1, "a", math.inf, b"\xff"],
        "map": {"at": datetime(2026, 1, 1, tzinfo=UTC)},
        "bytes": b"\x00\xff",
        "nan": math.nan,
    }
    _, line = csv_lines(list(row), [row])
    (found,) = csv.reader([line])
    assert json.loads(found[0]) == [1, "a", {"$float": "inf"}, {"$bytes": "/w=="}]
    assert json.loads(found[1]) == {"at": {"$datetime": "2026-01-01T00:00:00+00:00"}}
    assert found[2:] == ["00ff", "NaN"]
