"""The files of a vault: which of them are notes, and their texts."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.notes.markdown import NOTE_SUFFIXES
from slipstream.importers.opening import SourceFile

NOTE_BYTES_MAX = 4 * 1024 * 1024
_OF_LOGSEQ = "logseq"
_PACKED_SUFFIXES = (".gz", ".zst")


class Vault:
    """
    The notes of a folder, of some files, or of a zip, by their paths within it.

    Raises `ConfigError` for a folder that can not be read, and where there is no note at all.
    """

    def __init__(self, given: Path | Sequence[SourceFile], prefix: str | None = None) -> None:
        self._root: Path | None = None
        self._stamps: dict[str, object] = {}
        if isinstance(given, Path):
            self.shown, self._root = str(given), given.resolve()
            name, found = self._root.name, _walked(self._root)
        else:
            self.shown = given[0].name if len(given) == 1 else str(given[0].path.parent)
            name, found = _listed(given)
        self.prefix = f"{name}/" if prefix is None else prefix
        self.files = {path: file for path, file in sorted(found.items()) if is_note(path)}
        """The notes, by path."""
        self.attachments = frozenset(path for path in found if not is_note(path))
        """Files that are no notes."""

    @property
    def identity(self) -> str:
        """What differs when one of its notes does."""
        told = hashlib.blake2b(digest_size=8)
        for path, file in self.files.items():
            try:
                identity = file.identity
            except OSError:
                identity = "gone"  # since the folder was listed
            told.update(f"{path}\0{identity}\0".encode("utf-8", "surrogateescape"))
        return told.hexdigest()

    @property
    def size_bytes(self) -> int:
        """How many bytes its notes have."""
        return sum(size_of(file) for file in self.files.values())

    def text(self, path: str) -> str:
        """Return the text of a note; raises `InvalidInputError` when it can not be read, or is no text."""
        return text_of(self.files[path], path)

    @property
    def root(self) -> Path:
        """Its folder; raises `ConfigError` for notes that were given file by file."""
        if self._root is None:
            raise ConfigError(f"{self.shown} is no folder: name the folder of the notes")
        return self._root

    def list_anew(self) -> None:
        """List the folder's notes anew."""
        self.files = {path: file for path, file in sorted(_walked(self.root).items()) if is_note(path)}
        self._stamps = {path: _stamp_of(file) for path, file in self.files.items()}

    def changed(self) -> set[Path]:
        """Return the notes that differ from when they were looked at last, by their times and sizes."""
        there = {path: file for path, file in _walked(self.root).items() if is_note(path)}
        stamps = {path: _stamp_of(file) for path, file in there.items()}
        differ = {path for path in stamps.keys() | self._stamps.keys() if stamps.get(path) != self._stamps.get(path)}
        return {(there.get(path) or self.files[path]).path for path in differ if path in there or path in self.files}

    def look_at(self, place: Path) -> set[str]:
        """
        Look anew at a file or a folder of the vault's folder, and return the paths of the notes that may differ now.

        A folder that is there stands for all in it, one that is gone for all that was in it.
        """
        if self._root is None or not place.is_relative_to(self._root):
            return set()
        parts = place.relative_to(self._root).parts
        if is_skipped((*parts, "")):
            return set()
        path = place_of(parts)
        if not is_note(path) and place.is_file():
            return set()
        below = f"{path}/" if parts else ""
        touched = (
            {each for each in self.files if each == path or each.startswith(below)} if not is_note(path) else {path}
        )
        found: dict[str, SourceFile] = {}
        if place.is_dir():
            found = {each: file for each, file in _walked(self._root, parts).items() if is_note(each)}
        elif is_note(path) and place.is_file():
            found = {path: SourceFile(place)}
        for gone in touched - found.keys():
            self.files.pop(gone, None)
            self._stamps.pop(gone, None)
        self.files |= found
        self._stamps |= {each: _stamp_of(file) for each, file in found.items()}
        return touched | found.keys()


def is_note(path: str) -> bool:
    """Whether a file of that name is a note."""
    return path.lower().endswith(NOTE_SUFFIXES)


def is_skipped(parts: Sequence[str]) -> bool:
    """Whether a path is of a program, not of the notes: `.obsidian`, `.trash`, `.git`, Logseq's own folder."""
    return any(part.startswith(".") for part in parts) or (len(parts) > 1 and parts[0] == _OF_LOGSEQ)


def place_of(parts: Iterable[str]) -> str:
    """Return the path within a vault, in one Unicode form: a Mac writes `é` as two characters."""
    return unicodedata.normalize("NFC", "/".join(parts))


def size_of(file: SourceFile) -> int:
    """Return how long a file is, 0 of one that is gone."""
    try:
        return file.size_bytes
    except OSError:
        return 0


def text_of(file: SourceFile, path: str) -> str:
    """Return the text of a note's file; raises `InvalidInputError` (its path) when it is none."""
    try:
        path.encode()
        with file.opened() as (content, _):
            data = content.read(NOTE_BYTES_MAX + 1)
        if len(data) > NOTE_BYTES_MAX:
            raise InvalidInputError(f"has over {NOTE_BYTES_MAX:,} bytes: split the note", field=path)
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    except UnicodeEncodeError as error:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise InvalidInputError("the file's name is not UTF-8: rename it", field=shown) from error
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start:,}): convert it, as with iconv"
        raise InvalidInputError(why, field=path) from error
    except (ConfigError, OSError) as error:
        raise InvalidInputError(str(error), field=path) from error


def _stamp_of(file: SourceFile) -> object:
    """Return what differs when a file was written since, None of one that is gone."""
    try:
        stat = file.path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _walked(root: Path, within: Sequence[str] = ()) -> dict[str, SourceFile]:
    found: dict[str, SourceFile] = {}

    def refuse(error: OSError) -> None:
        raise ConfigError(f"{error.filename} can not be read: {error.strerror or error}") from error

    if not root.is_dir():
        raise ConfigError(f"{root} is no folder: look at the path")
    for folder, folders, files in os.walk(root.joinpath(*within), onerror=refuse):
        parts = Path(folder).relative_to(root).parts
        folders[:] = sorted(name for name in folders if not is_skipped((*parts, name, "")))
        for name in files:
            if not is_skipped((*parts, name)):
                found[place_of((*parts, name))] = SourceFile(Path(folder, name))
    return found


def _listed(files: Sequence[SourceFile]) -> tuple[str, dict[str, SourceFile]]:
    """Return the name of what some files, or those of a zip, are in, and the files by their paths in that."""
    if all(file.member is not None for file in files) and len({file.path for file in files}) == 1:
        places = [PurePosixPath(file.member or "").parts for file in files]
        name = files[0].path.stem
        if len({parts[0] for parts in places}) == 1 and all(len(parts) > 1 for parts in places):
            name, places = places[0][0], [parts[1:] for parts in places]
    else:
        resolved = [file.path.resolve() for file in files]
        root = Path(os.path.commonpath([path.parent for path in resolved]))
        name, places = root.name, [path.relative_to(root).parts for path in resolved]
    found = {}
    for file, parts in zip(files, places, strict=True):
        if not is_skipped(parts):
            found[_unpacked(place_of(parts))] = file
    return name, found


def _unpacked(path: str) -> str:
    """Return a note's path without the ending of its packing."""
    bare = next((path.removesuffix(suffix) for suffix in _PACKED_SUFFIXES if path.lower().endswith(suffix)), path)
    return bare if is_note(bare) else path
