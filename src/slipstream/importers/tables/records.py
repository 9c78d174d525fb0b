"""
Records of CSV: the standard library's `csv` in its strict mode, and what that can not tell.

It can not tell an empty cell from a quoted empty one (before Python 3.13), has one limit of a cell's size for the
whole process, and would take all that follows an unclosed quote for one cell.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from itertools import chain
from typing import NamedTuple, cast

from slipstream.domain.errors import ConfigError
from slipstream.importers.opening import SourceFile
from slipstream.importers.rows import Tell

RECORD_CHARACTERS_MAX = 16 * 1024 * 1024
"""More than a graph keeps of one entity: a record that goes on for longer has a quote that is never closed."""
SHOWN_CHARACTERS = 2_000
"""How much is kept of what is refused."""

TOLD_TO_EXCEL = re.compile(r"sep=([,;|\t])[\r\n]*", re.IGNORECASE)
"""A first line that tells Excel what separates the cells; no row."""

Cells = Sequence[str | None]
"""Texts; None for an empty cell, unless it was quoted."""


class Record(NamedTuple):
    """One record, and the lines of text that it stands in, counted from 1."""

    cells: Cells
    line: int
    last_line: int

    @property
    def lines(self) -> str:
        """Where it stands, for people."""
        return _shown_lines(self.line, self.last_line)


class BrokenRecord(NamedTuple):
    """What is no record, for a reason; its text, as far as it is shown."""

    reason: str
    text: str
    line: int
    last_line: int

    @property
    def lines(self) -> str:
        """Where it stands, for people."""
        return _shown_lines(self.line, self.last_line)


def _shown_lines(first: int, last: int) -> str:
    return f"line {first}" if first == last else f"lines {first} to {last}"


class _Feed:
    """Lines on their way to the parser; holds those of the record that is being parsed."""

    def __init__(self, file: SourceFile, lines: Iterator[str]) -> None:
        self._file, self._lines = file, lines
        self.held: list[str] = []
        self.number = 0
        self.is_ended = False
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.is_ended = True
            raise
        self.number += 1
        self.held.append(line)
        self._size += len(line)
        if self._size > RECORD_CHARACTERS_MAX and len(self.held) > 1:
            raise self.unclosed(f"within {RECORD_CHARACTERS_MAX:,} characters")
        return line

    def begin(self) -> None:
        """Forget the record that is done."""
        self.held.clear()
        self._size = 0

    @property
    def first(self) -> int:
        """The line in which the record begins."""
        return self.number - len(self.held) + 1

    def unclosed(self, how_far: str) -> ConfigError:
        return ConfigError(
            f"{self._file.name}: a quote opens in the record of line {self.first} and is not closed {how_far}: close "
            'it, or write a quote that is text as "" within a quoted cell'
        )


def records(
    file: SourceFile, delimiter: str, tell: Tell, before_bytes: int = 0
) -> Generator[Record | BrokenRecord, None, None]:
    """
    Yield the records of a file, without blank lines.

    Raises `ConfigError` as `SourceFile.lines` does, and for a quote that is never closed.
    """
    with closing(file.lines(tell, before_bytes)) as lines:
        first = next(lines, "")
        is_told = TOLD_TO_EXCEL.fullmatch(first) is not None
        feed = _Feed(file, lines if is_told else chain([first] if first else [], lines))
        feed.number = int(is_told)
        parser = csv.reader(feed, delimiter=delimiter, strict=True)
        held = feed.held
        while True:
            feed.begin()
            try:
                cells = _next(parser, feed, delimiter)
            except csv.Error as error:
                if feed.is_ended:
                    raise feed.unclosed("before the end") from error
                yield BrokenRecord(_reason(error), "".join(feed.held)[:SHOWN_CHARACTERS], feed.first, feed.number)
                continue
            if cells is None:
                return
            if cells:
                told = _with_absent(cells, held, delimiter) if "" in cells else cells
                yield Record(told, feed.number - len(held) + 1, feed.number)


def _next(parser: Iterator[list[str]], feed: _Feed, delimiter: str) -> list[str] | None:
    try:
        return next(parser, None)
    except csv.Error as error:
        if "field limit" not in str(error):
            raise
    begun = tuple(feed.held)
    with _wide_cells():
        return next(csv.reader(chain(begun, feed), delimiter=delimiter, strict=True), None)


@contextmanager
def _wide_cells() -> Iterator[None]:
    """Lift the limit of a cell's size, which is one for all threads: one that reads meanwhile at worst comes here."""
    before = csv.field_size_limit(2 * RECORD_CHARACTERS_MAX)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _reason(error: csv.Error) -> str:
    if "expected after" in str(error):
        return (
            "something follows a closing quote, or a quote was not closed before: write a quote that is text as "
            '"" within a quoted cell'
        )
    return f"is no CSV ({error})"


def _with_absent(cells: list[str], lines: Sequence[str], delimiter: str) -> Cells:
    """Return cells with None for those that are empty and not quoted."""
    if not any('""' in line for line in lines):
        return [cell or None for cell in cells]
    text, field = "".join(lines), _field(delimiter)
    found: list[str | None] = []
    place = 0
    for cell in cells:
        raw = cast("re.Match[str]", field.match(text, place))
        found.append(cell if raw[0] else None)
        place = raw.end() + 1
    return found


@cache
def _field(delimiter: str) -> re.Pattern[str]:
    """Return what matches a cell, of which is known that it is one."""
    return re.compile(rf'"[^"]*(?:""[^"]*)*"|[^{re.escape(delimiter)}\r\n]*')
