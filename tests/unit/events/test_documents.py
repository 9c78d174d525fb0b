"""Rows of JSON documents, cut out of chunks of any size without holding more than one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.refusals import CutLine
from slipstream.events.documents import document_rows, row_depth

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=4)


def rows_of(text: bytes, chunk_bytes: int = 1 << 16, bytes_max: int = 1 << 20) -> list[str | CutLine]:
    depth = row_depth(text)
    assert depth is not None
    chunks = (text[at : at + chunk_bytes] for at in range(0, len(text), chunk_bytes))
    return [line for line, _ in document_rows(chunks, depth, bytes_max)]


@given(ROWS, st.sampled_from(["array", "object", "by id"]), st.integers(1, 40), st.sampled_from([None, 1, "\t"]))
def test_the_rows_are_those_of_the_document(rows: list[Any], form: str, chunk_bytes: int, indent: Any) -> None:
    document: Any = rows
    if form == "object":
        document = {"nodes": rows[:2], "rels": rows[2:]}
    elif form == "by id":
        numbered = {str(number): row for number, row in enumerate(rows)}
        document = {"nodes": numbered, "relationships": {}}
    for is_ascii in (True, False):
        text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
        found = rows_of(text.encode("utf-8", "replace"), chunk_bytes)
        if is_ascii:
            assert [json.loads(row) for row in found if isinstance(row, str)] == rows
        assert len(found) == len(rows)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (b'[{"a":"\\"]}{"},{"b":[1,{"c":2}]}]', ['{"a":"\\"]}{"}', '{"b":[1,{"c":2}]}']),
        (b"[]\n", []),
        (b'{"nodes":{},"rels":[]}', []),
        (b'{ "rels" : [{"a":1}]}', ['{"a":1}']),
        (b"[1,[2],null]", ["1,", "[2]", ",null"]),
        (b'[{"a":1}] and more', ['{"a":1}', " and more"]),
        (b'[{"a":1}]]}[{"b":2}]', ['{"a":1}', '{"b":2}']),
        (b'\xef\xbb\xbf[{"a":"\xc3\xbc"}]', ['{"a":"ü"}']),
    ],
)
def test_what_is_no_row_is_not_passed_over(text: bytes, rows: list[str], chunk_bytes: int) -> None:
    assert rows_of(text, chunk_bytes) == rows


@pytest.mark.parametrize("text", [b'[{"a":1},{"b', b'[{"a":1},{"b"', b'[{"a":1},', b'[{"a":1}', b'[{"a":1},{"b":"\\'])
def test_a_document_that_ends_too_early_says_so(text: bytes) -> None:
    for chunk_bytes in (1, 1000):
        first, last = rows_of(text, chunk_bytes)
        assert first == '{"a":1}'
        assert isinstance(last, CutLine)
        assert "was cut short" in last.fault


def test_a_row_that_is_no_utf8_or_too_long_costs_itself_only() -> None:
    text = b'[{"a":1},{"b":"\xff"},{"c":"' + b"x" * 500 + b'"},{"d":1}]'
    first, bad, long, last = rows_of(text, 7, bytes_max=100)
    assert (first, last) == ('{"a":1}', '{"d":1}')
    assert isinstance(bad, CutLine)
    assert "is not UTF-8 (byte 0xff)" in bad.fault
    assert isinstance(long, CutLine)
    assert (long.size_bytes, long.fault) == (508, "")


@pytest.mark.parametrize("inner", [b"x", b'{"k":"v"},', b"[[]],", b'\\"'])
def test_a_row_without_an_end_is_not_held(inner: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'[{"a":"' if inner in (b"x", b'\\"') else b'[{"a":['
        for _ in range(30):
            yield inner * (65_536 // len(inner))

    ((line, size),) = document_rows(chunks(), 1, bytes_max=1 << 16)
    assert isinstance(line, CutLine)
    assert len(line.head) <= 65_536
    assert size > 1_800_000


def test_what_is_nested_without_end_is_not_read_to_its_end() -> None:
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"[" * 65_536

    ((line, _),) = document_rows(chunks(), 1)
    assert isinstance(line, CutLine)
    assert "nested deeper than 1,000 levels" in line.fault
    assert read == 1


@pytest.mark.parametrize(
    ("head", "depth"),
    [
        (b' \n[{"type"', 1), (b'{"nodes":[', 2), (b'\xef\xbb\xbf {"rels" : {', 2), (b'{"type":"node"', None),
        (b'{"nodes":1}', None), (b"", None), (b"id,name", None),
    ],
)  # fmt: skip
def test_how_deep_rows_lie_is_told_by_the_beginning(head: bytes, depth: int | None) -> None:
    assert row_depth(head) == depth
