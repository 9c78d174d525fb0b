"""Files of lines, packed or not: `.gz` by the standard library, `.zst` by it or by the extra `zstd`."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from slipstream.domain.errors import ConfigError

GZIP, ZSTD = ".gz", ".zst"
_LEVEL = 6
_BLOCK_BYTES = 1 << 17
_BITE_BYTES = 512
"""How much of a .zst file is unpacked at a time: four bytes of it may stand for 128 KiB, so these for 16 MiB."""


def unpacked_name(path: Path) -> str:
    """Return a file's name without the endings of its form and packing: `graph` for `graph.jsonl.gz`."""
    return Path(path.stem).stem if path.suffix in (GZIP, ZSTD) else path.stem


@contextmanager
def lines_read(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """
    Yield the unpacked content of a file, and the file itself, whose position tells the progress of reading.

    Raises `ConfigError` when the file can not be read, or is not packed as its name says.
    """
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb"))
            content = stack.enter_context(_unpacked(path, raw))
            yield content, raw
        except _damages(path) as error:
            raise ConfigError(f"{path} is damaged, or was cut short ({error}): make it anew") from error
        except OSError as error:
            raise ConfigError(f"{path} can not be read: {error}") from error


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    if path.suffix == GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="rb"))
    if path.suffix == ZSTD:
        return _zstd_reader(raw)
    return raw


def packed(name: str, raw: IO[bytes]) -> IO[bytes]:
    """Return a stream that packs into a file as its name says, or the file; closing the stream leaves that open."""
    if name.endswith(GZIP):
        # Without name and time: the same graph gives the same bytes.
        return cast("IO[bytes]", gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0))
    if name.endswith(ZSTD):
        return _zstd_writer(raw)
    return raw


def _zstd_reader(raw: IO[bytes]) -> IO[bytes]:
    module, is_builtin = _zstd()
    if is_builtin:
        return cast("IO[bytes]", module.ZstdFile(raw, "rb"))
    return cast(
        "IO[bytes]", io.BufferedReader(_ZstdContent(raw, module.ZstdDecompressor().decompressobj), _BLOCK_BYTES)
    )


def _zstd_writer(raw: IO[bytes]) -> IO[bytes]:
    module, is_builtin = _zstd()
    if is_builtin:
        return cast("IO[bytes]", module.ZstdFile(raw, "wb"))
    compressor = module.ZstdCompressor(write_checksum=True)
    return cast("IO[bytes]", compressor.stream_writer(raw, closefd=False))


class _ZstdContent(io.RawIOBase):
    """
    The unpacked content of all frames of a file, one after the other.

    The library's own reader takes a truncated frame for the end of the file; this one raises `EOFError`.
    """

    def __init__(self, raw: IO[bytes], frame: Callable[[], Any]) -> None:
        self._raw, self._frame = raw, frame
        self._open: Any = None
        self._packed = self._content = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, and return how many bytes were read: 0 at the end of the last frame."""
        while not self._content:
            self._packed = self._packed or memoryview(self._raw.read(_BLOCK_BYTES))
            if not self._packed:
                if self._open is not None:
                    raise EOFError("the last frame is not whole")
                return 0
            self._open = self._open or self._frame()
            bite = self._packed[:_BITE_BYTES]
            self._content = memoryview(self._open.decompress(bite))
            unused = len(self._open.unused_data) if self._open.eof else 0
            self._packed = self._packed[len(bite) - unused :]
            if self._open.eof:
                self._open = None
        size = min(len(buffer), len(self._content))
        buffer[:size], self._content = self._content[:size], self._content[size:]  # views: nothing is copied twice
        return size


def _zstd() -> tuple[Any, bool]:
    """Return the installed zstd module, and whether it is Python's own; raises `ConfigError` without any."""
    try:
        return importlib.import_module("compression.zstd"), True
    except ImportError:
        pass
    try:
        return importlib.import_module("zstandard"), False
    except ImportError as error:
        raise ConfigError(
            "this Python does not know .zst: install slipstream-pkg[zstd], or use .gz (or Python 3.14)"
        ) from error


def _damages(path: Path) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean that a file is not packed as its name says."""
    plain = (EOFError, zlib.error, gzip.BadGzipFile)
    return (*plain, _zstd()[0].ZstdError) if path.suffix == ZSTD else plain
