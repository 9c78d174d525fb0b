"""Files that are imported: plain, packed (`.gz`, `.zst`), or within a `.zip`; read as bytes, or as lines of text."""

from __future__ import annotations

import codecs
import hashlib
import os
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from slipstream.domain.errors import ConfigError
from slipstream.events.packing import GZIP, ZIP, ZSTD, damages, unpacked
from slipstream.importers.rows import Tell

CHUNK_BYTES = 1 << 16
_TOLD_EVERY = 16
_TEXT_BYTES_MAX = 16 * 1024 * 1024
"""The longest line of text that is read."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to import; `member` is its name within a zip."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    @property
    def inner_name(self) -> str:
        """Its name without folders and without the ending of its packing: `people.csv` for `a/people.csv.gz`."""
        name = PurePosixPath(self.member or self.path.name)
        return name.stem if name.suffix.lower() in (GZIP, ZSTD) else name.name

    @property
    def suffix(self) -> str:
        """The ending that tells its form, in lower case: `.csv` for `people.CSV.gz`."""
        return PurePosixPath(self.inner_name).suffix.lower()

    @property
    def size_bytes(self) -> int:
        """How many bytes are read of it, as it lies there."""
        if self.member is None:
            return self._stat().st_size
        with zipfile.ZipFile(self.path) as pack:
            return pack.getinfo(self.member).file_size

    @property
    def identity(self) -> str:
        """What differs when the file was changed, or is another one."""
        stat = self._stat()
        told = f"{self.path.resolve()}\0{self.member}\0{stat.st_size}\0{stat.st_mtime_ns}"
        return hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()

    def _stat(self) -> os.stat_result:
        try:
            return self.path.stat()
        except OSError as error:
            raise ConfigError(f"{self.name} can not be read: {error.strerror or error}") from error

    @contextmanager
    def opened(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """
        Yield the unpacked content, and the stream whose position tells the progress of reading.

        Raises `ConfigError` when it can not be read, or is not packed as its name says.
        """
        packing = PurePosixPath(self.member or self.path.name).suffix.lower()
        with ExitStack() as stack:
            try:
                raw: IO[bytes] = stack.enter_context(self.path.open("rb"))
                if self.member is not None:
                    raw = stack.enter_context(stack.enter_context(zipfile.ZipFile(raw)).open(self.member))
                yield stack.enter_context(unpacked(packing, raw)), raw
            except damages(packing) as error:
                raise ConfigError(f"{self.name} is damaged, or was cut short ({error}): make it anew") from error
            except (RuntimeError, NotImplementedError) as error:  # of a zip: a password, or a packing nobody knows
                raise ConfigError(f"{self.name} can not be unpacked ({error}): unpack it by hand") from error
            except OSError as error:
                raise ConfigError(f"{self.name} can not be read: {error.strerror or error}") from error

    def head(self, size_bytes: int = 4096) -> bytes:
        """Return the first bytes of the content, without a byte order mark; raises as `opened` does."""
        with self.opened() as (content, _):
            return content.read(size_bytes).removeprefix(codecs.BOM_UTF8)

    def chunks(self, tell: Tell, before_bytes: int = 0) -> Generator[bytes, None, None]:
        """Yield the content piece by piece; `tell` hears how far it is, counted on from `before_bytes`."""
        with self.opened() as (content, raw):
            number = 0
            while chunk := content.read(CHUNK_BYTES):
                yield chunk
                number += 1
                if number % _TOLD_EVERY == 0:
                    tell(before_bytes + raw.tell())
            tell(before_bytes + raw.tell())

    def lines(self, tell: Tell, before_bytes: int = 0) -> Generator[str, None, None]:
        r"""
        Yield lines of text with their ends (`\n`, `\r\n` or `\r`), without a byte order mark.

        Raises `ConfigError` for what is not UTF-8, and for a line of over 16 MiB.
        """
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        rest, done = "", 0
        for chunk in self.chunks(tell, before_bytes):
            try:
                text = rest + decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise self._not_text(done, error) from error
            done += len(chunk)
            # A \r at the end may be half of \r\n, which the next piece completes.
            held = text.endswith("\r")
            pieces = _split(text[:-1] if held else text)
            rest = pieces.pop() + ("\r" if held else "")
            if len(rest) > _TEXT_BYTES_MAX:
                raise ConfigError(f"{self.name} has a line of over {_TEXT_BYTES_MAX:,} characters: it is no text")
            yield from pieces
        try:
            rest += decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise self._not_text(done, error) from error
        yield from (piece for piece in _split(rest) if piece)

    def _not_text(self, done: int, error: UnicodeDecodeError) -> ConfigError:
        is_utf_16 = done == 0 and error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        return ConfigError(
            f"{self.name} is not UTF-8 (byte 0x{error.object[error.start]:02x} near byte {done + error.start:,}): "
            f"convert it, as with `iconv -f {'UTF-16' if is_utf_16 else 'WINDOWS-1252'} -t UTF-8`"
        )


def _split(text: str) -> list[str]:
    """Return lines with their ends; the last one is what comes behind the last end (only line ends count)."""
    found: list[str] = []
    for line in text.split("\n"):
        if found:
            found[-1] += "\n"
        if "\r" in line.removesuffix("\r"):
            *others, last = line.split("\r")
            found.extend(f"{other}\r" for other in others)
            found.append(last)
        else:
            found.append(line)
    return found


def source_files(paths: Sequence[Path]) -> list[SourceFile]:
    """
    Return the files that were named; a zip stands for all in it, by name, but for what begins with a dot or `__`.

    Raises `ConfigError` for what can not be read, a folder, and an empty zip.
    """
    found: list[SourceFile] = []
    for path in paths:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder: name files, or import it as notes (--format notes)")
        if not path.exists():
            raise ConfigError(f"{path} is not there: look at the path")
        if not path.is_file():
            raise ConfigError(f"{path} is no file, and it is read more than once: pipe its content in, with -")
        found.extend(_members(path) if path.suffix.lower() == ZIP else [SourceFile(path)])
    return found


def _members(path: Path) -> list[SourceFile]:
    try:
        with zipfile.ZipFile(path) as pack:
            names = sorted(info.filename for info in pack.infolist() if not info.is_dir())
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} can not be read as a zip ({error}): make it anew") from error
    members = [name for name in names if not any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)]
    if not members:
        raise ConfigError(f"{path} holds no files")
    return [SourceFile(path, name) for name in members]
