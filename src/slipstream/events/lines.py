"""Lines of bytes that nobody vouches for: one that is too long, or no text, is passed over and told."""

from __future__ import annotations

import hashlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.refusals import CutLine
from slipstream.events.formats.kinds import CONVERT, binary_kind, foreign_kind

LINE_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 1 << 16
_HEAD_BYTES = 1 << 16
"""Of a line that is too long."""

Line = str | CutLine


@dataclass(slots=True)
class OpenLine:
    """A line that is being read, held within a bound."""

    parts: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    digest: hashlib._Hash | None = None
    """Of a line that is too long already: then `parts` is its beginning."""

    def add(self, data: bytes, bytes_max: int) -> None:
        """Take in what comes next; past `bytes_max` only the beginning is held."""
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
        """Return what it is."""
        data = b"".join(self.parts)
        if self.digest is not None:
            return CutLine(data.decode("utf-8", "backslashreplace"), self.size_bytes, self.digest.hexdigest())
        return line_of(data)


def line_of(data: bytes) -> Line:
    """Return the text of a line, without a byte order mark; a `CutLine` when it is not UTF-8: nothing is replaced."""
    try:
        return data.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 (byte 0x{data[error.start]:02x}): {CONVERT}"
        head = data[:_HEAD_BYTES].decode("utf-8", "backslashreplace")
        return CutLine(head, len(data), hashlib.sha256(data).hexdigest(), fault)


def bounded_lines(chunks: Iterable[bytes], bytes_max: int = LINE_BYTES_MAX) -> Iterator[tuple[Line, int]]:
    """
    Yield each line without its end, and how many bytes it took with it.

    A line of more than `bytes_max` bytes, or that is not UTF-8, is a `CutLine`. Whatever the chunks, little more than
    one line is held.
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


def checked_chunks(chunks: Iterable[bytes], name: str, form: str, *, is_stream: bool = False) -> Iterator[bytes]:
    """
    Yield chunks as they are; raises `ConfigError` when the first one says that they are no lines of JSON at all.

    Of a stream only what is no text at all is taken for that: whoever feeds it may say something else first.
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
