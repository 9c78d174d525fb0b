"""Files that are packed: `.gz` by the standard library, `.zst` by it or, in older versions, by the extra `zstd`."""

from __future__ import annotations

import gzip
import importlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from slipstream.domain.errors import ConfigError

GZIP, ZSTD, ZIP = ".gz", ".zst", ".zip"
_LEVEL = 6


def unpacked_name(path: Path) -> str:
    """Return a file's name without the endings of its form and packing: `graph` for `graph.jsonl.gz`."""
    return Path(path.stem).stem if path.suffix in (GZIP, ZSTD, ZIP) else path.stem


@contextmanager
def lines_read(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """
    Yield the unpacked content of a file, and the file itself, whose position tells the progress of reading.

    Raises `ConfigError` when the file can not be read, or is not packed as its name says.
    """
    with ExitStack() as stack:
        try:
            raw: IO[bytes] = stack.enter_context(path.open("rb"))
            if path.suffix == ZIP:
                raw = stack.enter_context(_only_member(stack.enter_context(zipfile.ZipFile(raw)), path))
            yield stack.enter_context(unpacked(path.suffix, raw)), raw
        except damages(path.suffix) as error:
            raise ConfigError(f"{path} is damaged, or was cut short ({error}): make it anew") from error
        except OSError as error:
            raise ConfigError(f"{path} can not be read: {error}") from error


def _only_member(pack: zipfile.ZipFile, path: Path) -> IO[bytes]:
    names = [info for info in pack.infolist() if not info.is_dir()]
    if len(names) != 1:
        raise ConfigError(f"{path} holds {len(names)} files, and only one can be read: unpack it, and give each")
    return pack.open(names[0])


def unpacked(suffix: str, raw: IO[bytes]) -> IO[bytes]:
    """Return the content of a file whose name ends so; closing it leaves the file open."""
    if suffix == GZIP:
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="rb"))
    if suffix == ZSTD:
        return cast("IO[bytes]", _zstd().ZstdFile(raw, "rb"))
    return raw


def packed(name: str, raw: IO[bytes]) -> IO[bytes]:
    """Return a stream that packs into a file as its name says, or the file; closing the stream leaves that open."""
    if name.endswith(GZIP):
        # Without name and time: the same graph gives the same bytes.
        return cast("IO[bytes]", gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=_LEVEL, mtime=0))
    if name.endswith(ZSTD):
        zstd = _zstd()
        return cast("IO[bytes]", zstd.ZstdFile(raw, "wb", options={zstd.CompressionParameter.checksum_flag: 1}))
    return raw


def _zstd() -> Any:
    """Return Python's own zstd module, or the one that brings it to older versions; raises `ConfigError`."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConfigError("this Python does not know .zst: install slipstream-pkg[zstd], or use .gz (or Python 3.14)")


def damages(suffix: str) -> tuple[type[Exception], ...]:
    """Return the exceptions that mean that a file is not packed as its name says."""
    plain = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
    return (*plain, _zstd().ZstdError) if suffix == ZSTD else plain
