"""Cuts rows from a dump that is one JSON document (an array, or an object of nodes and relationships), streaming."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator

from slipstream.domain.refusals import CutLine
from slipstream.events.lines import LINE_BYTES_MAX, Line, OpenLine

_BEGINNING = re.compile(rb'\s*(?:(\[)|\{\s*"(?:nodes|rels|relationships)"\s*:\s*[\[{])')
# Possessive quantifiers, so that no text makes them slow.
_TO_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_TO_QUOTE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_BETWEEN = re.compile(rb'[\s,]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*+:\s*+)?+', re.DOTALL)
_OPENING = b"{["
_DEPTH_MAX = 1_000
_TOO_DEEP = f"the document is nested deeper than {_DEPTH_MAX:,} levels: it is no dump, and the rest of it is not read"
_CUT_SHORT = "the document ends before its last bracket: the file was cut short, make it anew"


def row_depth(head: bytes) -> int | None:
    """Return how many brackets enclose the rows of a document with this beginning; None when it is not a document."""
    found = _BEGINNING.match(head.removeprefix(BOM_UTF8))
    if found is None:
        return None
    return 1 if found[1] else 2


def document_rows(chunks: Iterable[bytes], depth: int, bytes_max: int = LINE_BYTES_MAX) -> Iterator[tuple[Line, int]]:
    """
    Yield the text of each row, and how many bytes it took; `depth` is what `row_depth` said.

    Text between rows that does not belong there is yielded too, and so is the end of a document that was cut short:
    neither parses as a row. However the input is cut into chunks, little more than one row is held.
    """
    splitter = _Splitter(depth, bytes_max)
    try:
        for chunk in chunks:
            yield from splitter.feed(chunk)
        yield from splitter.end(_CUT_SHORT)
    except _TooDeepError:
        yield from splitter.end(_TOO_DEEP)


class _TooDeepError(Exception):
    """Ends the reading of a document that is nested deeper than any row."""


class _Splitter:
    def __init__(self, row_depth: int, bytes_max: int) -> None:
        self._row_depth, self._bytes_max = row_depth, bytes_max
        self._depth = 0
        self._is_in_text = self._is_escaped = False
        self._piece = OpenLine()
        """What has been read of the current row, or of the text between two rows."""

    def feed(self, chunk: bytes) -> Iterator[tuple[Line, int]]:
        """Yield the rows that end in a chunk."""
        begin, at = 0, self._leave_text(chunk)
        while at < len(chunk):
            found = _TO_BRACKET.match(chunk, at)
            at = len(chunk) if found is None else found.end()
            if at == len(chunk):
                break
            if chunk[at] == ord('"'):
                self._is_in_text = True
                at = self._leave_text(chunk, at + 1)
                continue
            is_opening, outside = chunk[at] in _OPENING, self._depth <= self._row_depth
            if outside:  # before a row, or before a bracket that encloses rows
                yield from self._between(chunk[begin:at])
            if is_opening and self._depth == self._row_depth:
                begin = at  # a row includes its own brackets, not those that enclose rows
            self._depth = max(0, self._depth + (1 if is_opening else -1))
            if self._depth > _DEPTH_MAX:
                raise _TooDeepError
            at += 1
            if not is_opening and self._depth == self._row_depth:
                self._piece.add(chunk[begin:at], self._bytes_max)
                yield self._taken()
                begin = at
            elif self._depth <= self._row_depth:
                begin = at
        if begin < len(chunk):
            self._piece.add(chunk[begin:], self._bytes_max)

    def _leave_text(self, chunk: bytes, at: int = 0) -> int:
        """Return where an open string ends; the end of the chunk when it goes on in the next one."""
        if not self._is_in_text:
            return at
        found = _TO_QUOTE.match(chunk, at + self._is_escaped)
        at = len(chunk) if found is None else found.end()
        self._is_escaped = chunk[at : at + 1] == b"\\"
        if at == len(chunk) or self._is_escaped:
            return len(chunk)
        self._is_in_text = False
        return at + 1

    def _between(self, rest: bytes) -> Iterator[tuple[Line, int]]:
        """End a stretch between rows; yield it when it holds what does not belong there."""
        self._piece.add(rest, self._bytes_max)
        line, size = self._taken()
        if isinstance(line, CutLine) or _BETWEEN.fullmatch(line.encode()) is None:
            yield line, size

    def _taken(self) -> tuple[Line, int]:
        piece, self._piece = self._piece, OpenLine()
        return piece.line(), piece.size_bytes

    def end(self, fault: str) -> Iterator[tuple[Line, int]]:
        """Yield what is left at the end, with the fault, if it is not whole."""
        if self._depth == 0 and not self._is_in_text:
            yield from self._between(b"")
            return
        line, size = self._taken()
        head = line.head if isinstance(line, CutLine) else line
        yield CutLine.of(head, self._bytes_max).told(fault), size
