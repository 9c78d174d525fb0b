"""Lines of untrusted bytes: one that is too long, or not text, is passed over and reported."""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.refusals import CutLine
from slipstream.events.formats.kinds import CONVERT, binary_kind, foreign_kind

LINE_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 1 << 16
_TOLD_EVERY = 16
"""Chunks of a file between two times that its reading is told."""
_HEAD_BYTES = 1 << 16
"""How much of a line that is too long is kept."""

Line = str | CutLine


@dataclass(slots=True)
class OpenLine:
    """A line that is being read, held within a bound."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    digest: hashlib._Hash | None = None
    """Of the whole line, once it is too long; `parts` is then only its beginning."""

    def add(self, data: bytes, bytes_max: int) -> None:
        """Append bytes; past `bytes_max` only the beginning is held."""
        self.size_bytes += len(data)
        if self.digest is not None:
            self.digest.update(data)
            return
        self.parts.append(data)
        if self.size_bytes > bytes_max:
            self.digest = hashlib.sha256()
            for part in self.parts:
                self.digest.update(part)
            self.parts = [b"".join(self.parts)[: min(_HEAD_BYTES, bytes_max)]]

    def line(self) -> Line:
        """Return the text of the line, or a `CutLine` when it is too long or not UTF-8."""
        data = b"".join(self.parts)
        if self.digest is not None:
            return CutLine(data.decode("utf-8", "backslashreplace"), self.size_bytes, self.digest.hexdigest())
        return line_of(data)


def line_of(data: bytes) -> Line:
    """Return the text of a line without a byte order mark, or a `CutLine` when it is not UTF-8."""
    try:
        return data.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 (byte 0x{data[error.start]:02x}): {CONVERT}"
        head = data[:_HEAD_BYTES].decode("utf-8", "backslashreplace")
        return CutLine(head, len(data), hashlib.sha256(data).hexdigest(), fault)


def bounded_lines(chunks: Iterable[bytes], bytes_max: int = LINE_BYTES_MAX) -> Iterator[tuple[Line, int]]:
    """
    Yield each line without its line end, and its size in bytes with it.

    A line of more than `bytes_max` bytes, or that is not UTF-8, is a `CutLine`. However the input is cut into chunks,
    little more than one line is held.
    """
    current = OpenLine()
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for data in ended:
            current.add(data, bytes_max)
            yield current.line(), current.size_bytes + 1
            current = OpenLine()
        if rest:
            current.add(rest, bytes_max)
    if current.size_bytes:
        yield current.line(), current.size_bytes


def told_of(chunks: Iterable[bytes], tell: Callable[[], None]) -> Iterator[bytes]:
    """Yield chunks as they are, and tell of them now and then, whatever is in them; `tell` may raise, to stop."""
    for number, chunk in enumerate(chunks, 1):
        yield chunk
        if number % _TOLD_EVERY == 0:
            tell()


def checked_chunks(chunks: Iterable[bytes], name: str, form: str, *, is_stream: bool = False) -> Iterator[bytes]:
    """
    Yield chunks as they are; raises `ConfigError` when the first one shows that they are not lines of JSON at all.

    For a stream only binary data counts as that: its source may write other text first.
    """
    kind_of = binary_kind if is_stream else foreign_kind
    for number, chunk in enumerate(chunks):
        if number == 0 and (kind := kind_of(chunk)) is not None:
            raise ConfigError(f"{name} is {kind}. Nothing of it was taken: give {form}")
        yield chunk


def refusal_of(line: CutLine, where: str, bytes_max: int = LINE_BYTES_MAX) -> InvalidInputError:
    """Return the error that refuses a line that can not be read."""
    fault = line.fault or f"has {line.size_bytes:,} bytes, a line may have {bytes_max:,}"
    return InvalidInputError(fault, field=where)
