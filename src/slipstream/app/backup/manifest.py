"""The manifest of a backup: what is in it, as of which moment, and what proves it whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from slipstream.domain.errors import ConfigError, CorruptionError

MANIFEST_NAME = "manifest.json"
FORMAT = 1
_CHECKSUM = "checksum"
_BLOCK_BYTES = 1 << 20

Step = Callable[[int], None]
"""Told how many bytes there are so far; may raise, to stop."""


class FileEntry(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class IndexEntry(BaseModel):
    """Which index there was, and whether its vectors are in the backup; if not, a restore computes them again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter: str
    has_vectors: bool
    records: int
    digest: str | None
    """As audits compute it; None without vectors."""
    divergent: int = 0
    """Records that differed from what the graph asks for, without a reason in the log."""
    owed: int = 0
    """Records that the engine was still to bring up to date."""


class Manifest(BaseModel):
    """What `manifest.json` says. It holds no setting and no secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["slipstream.backup"] = "slipstream.backup"
    format: int = FORMAT
    slipstream: str
    sqlite: str
    created_at: AwareDatetime
    graph_id: str
    position: int
    """The graph's head."""
    checkpoint: int
    frontier: int
    schema_version: int
    entities: int
    relationships: int
    graph_digest: str
    """Of everything that the graph asks of the index, as audits compute it."""
    dead_letters: int
    index: IndexEntry
    files: dict[str, FileEntry]

    @property
    def size_bytes(self) -> int:
        """The size of all files together."""
        return sum(entry.size_bytes for entry in self.files.values())


def write_manifest(folder: Path, manifest: Manifest) -> Path:
    """Write the manifest of a folder with its own checksum, and return its path; the caller syncs it."""
    path = folder / MANIFEST_NAME
    content = {**manifest.model_dump(mode="json"), _CHECKSUM: _checksum(manifest)}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def _checksum(manifest: Manifest) -> str:
    text = json.dumps(manifest.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """
    Return the manifest of a backup.

    Raises `ConfigError` for a folder that is no backup or is of a newer version, `CorruptionError` for a damaged one.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{folder} is no backup: it holds no {MANIFEST_NAME}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptionError(f"{path} can not be read ({error}): use another backup") from error
    try:
        content = json.loads(text)
        checksum, told = content.pop(_CHECKSUM, None), content.get("format")
        if isinstance(told, int) and told > FORMAT:
            raise ConfigError(f"{folder} has format {told}, this version reads {FORMAT}: upgrade slipstream-pkg")
        found = Manifest.model_validate(content)
    except (ValueError, AttributeError) as error:  # of JSON, and of pydantic; or it is no object
        raise CorruptionError(f"{path} is damaged ({str(error).splitlines()[0]}): use another backup") from error
    if checksum != _checksum(found):
        raise CorruptionError(f"{path} is damaged (its checksum is another one): use another backup")
    return found


def manifest_or_none(folder: Path) -> Manifest | None:
    """Return the manifest of a backup; None for any other folder."""
    try:
        return read_manifest(folder)
    except (ConfigError, CorruptionError):
        return None


def entry_of(path: Path, on_step: Step = lambda _: None) -> FileEntry:
    """Read a file whole, and return its entry."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            on_step(done)
    return FileEntry(size_bytes=done, sha256=digest.hexdigest())


def copied(source: Path, target: Path, on_step: Step = lambda _: None) -> FileEntry:
    """Copy a file, and return the entry of what was read; only its owner may read the copy, and it is not synced."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("xb") as copy:
        target.chmod(0o600)
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
            done += len(block)
            on_step(done)
    return FileEntry(size_bytes=done, sha256=digest.hexdigest())
