"""The files of a vault: which of them are notes, and their texts."""

from __future__ import annotations

import hashlib
import os
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.events.packing import damages
from slipstream.importers.notes.markdown import NOTE_SUFFIXES
from slipstream.importers.opening import SourceFile

NOTE_BYTES_MAX = 4 * 1024 * 1024
_OF_LOGSEQ = "logseq"
_PACKED_SUFFIXES = (".gz", ".zst")
_BROKEN: tuple[type[Exception], ...] = (
    *damages(".zip"),
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
    ConfigError,
)
_GONE = (0, 0, 0)


class Vault:
    """
    The notes of a folder, of some files, or of a zip, by their paths within it.

    Raises `ConfigError` for a folder that can not be read, and where there is no note at all.
    """

    def __init__(self, given: Path | Sequence[SourceFile], prefix: str | None = None) -> None:
        self._root: Path | None = None
        self._packs: dict[Path, zipfile.ZipFile] = {}
        if isinstance(given, Path):
            self.shown, self._root = str(given), given.resolve()
            name, found = self._root.name, _walked(self._root)
        else:
            self.shown = given[0].name if len(given) == 1 else str(given[0].path.parent)
            name, found = _listed(given)
        self.prefix = f"{name}/" if prefix is None else prefix
        self.files = {path: file for path, file in sorted(found.items()) if is_note(path)}
        """The notes, by path."""
        self.stamps = _stamps_of(self.files)
        """What differs when a note was written since: its size, and more."""
        self.attachments = frozenset(path for path in found if not is_note(path))
        """Files that are no notes."""

    @property
    def identity(self) -> str:
        """What differs when one of its notes does."""
        told = hashlib.blake2b(digest_size=8)
        for path, file in self.files.items():
            told.update(f"{path}\0{file.path}\0{self.stamps[path]}\0".encode("utf-8", "surrogateescape"))
        return told.hexdigest()

    @property
    def size_bytes(self) -> int:
        """How many bytes its notes have."""
        return sum(stamp[0] for stamp in self.stamps.values())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the zips open meanwhile: opening one reads the list of all in it."""
        with ExitStack() as stack:
            try:
                for pack in {file.path for file in self.files.values() if file.member is not None}:
                    self._packs[pack] = stack.enter_context(zipfile.ZipFile(pack))
                yield
            except zipfile.BadZipFile as error:
                raise ConfigError(f"{self.shown} can not be read as a zip ({error}): make it anew") from error
            finally:
                self._packs.clear()

    def text(self, path: str) -> str:
        """Return the text of a note; raises `InvalidInputError` when it can not be read, or is no text."""
        return text_of(self.files[path], path, self._packs)

    @property
    def root(self) -> Path:
        """Its folder; raises `ConfigError` for notes that were given file by file."""
        if self._root is None:
            raise ConfigError(f"{self.shown} is no folder: name the folder of the notes")
        return self._root

    def list_anew(self) -> None:
        """List the folder's notes anew."""
        self.files = {path: file for path, file in sorted(_walked(self.root).items()) if is_note(path)}
        self.stamps = _stamps_of(self.files)

    def changed(self) -> set[Path]:
        """Return the notes that differ from when they were looked at last, by their times and sizes."""
        there = {path: file for path, file in _walked(self.root).items() if is_note(path)}
        stamps = _stamps_of(there)
        differ = {path for path in stamps.keys() | self.stamps.keys() if stamps.get(path) != self.stamps.get(path)}
        return {(there.get(path) or self.files[path]).path for path in differ}

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
            self.stamps.pop(gone, None)
        self.files |= found
        self.stamps |= _stamps_of(found)
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


def text_of(file: SourceFile, path: str, packs: Mapping[Path, zipfile.ZipFile]) -> str:
    """Return the text of a note's file; raises `InvalidInputError` (its path) when it is none."""
    try:
        path.encode()
        data = _read(file, packs)
        if len(data) > NOTE_BYTES_MAX:
            raise InvalidInputError(f"has over {NOTE_BYTES_MAX:,} bytes: split the note", field=path)
        text = data.decode("utf-8-sig")
        return text if "\r" not in text and "\0" not in text else _plain(text)
    except UnicodeEncodeError as error:
        shown = path.encode("utf-8", "backslashreplace").decode()
        raise InvalidInputError("the file's name is not UTF-8: rename it", field=shown) from error
    except UnicodeDecodeError as error:
        why = f"is not UTF-8 (byte 0x{error.object[error.start]:02x} at {error.start:,}): convert it, as with iconv"
        raise InvalidInputError(why, field=path) from error
    except OSError as error:
        raise InvalidInputError(f"can not be read: {error.strerror or error}", field=path) from error
    except _BROKEN as error:
        raise InvalidInputError(str(error), field=path) from error


def _read(file: SourceFile, packs: Mapping[Path, zipfile.ZipFile]) -> bytes:
    is_plain = not file.name.lower().endswith(_PACKED_SUFFIXES)
    if file.member is None and is_plain:
        with file.path.open("rb") as plain:
            return plain.read(NOTE_BYTES_MAX + 1)
    if file.member is not None and is_plain and file.path in packs:
        with packs[file.path].open(file.member) as member:
            return member.read(NOTE_BYTES_MAX + 1)
    with file.opened() as (content, _):
        return content.read(NOTE_BYTES_MAX + 1)


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _stamps_of(files: Mapping[str, SourceFile]) -> dict[str, tuple[int, int, int]]:
    """Return the size of each note, and what else differs when it was written since; zeros of one that is gone."""
    inner: dict[Path, dict[str, tuple[int, int, int]]] = {}
    found = {}
    for path, file in files.items():
        if file.member is None:
            found[path] = _stamp_of(file.path)
        else:
            if file.path not in inner:
                inner[file.path] = _stamps_in(file.path)
            found[path] = inner[file.path].get(file.member, _GONE)
    return found


def _stamp_of(path: Path) -> tuple[int, int, int]:
    try:
        stat = os.stat(path)  # half as long as Path.stat, for each of very many
    except OSError:
        return _GONE
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _stamps_in(path: Path) -> dict[str, tuple[int, int, int]]:
    try:
        with zipfile.ZipFile(path) as pack:
            return {info.filename: (info.file_size, info.CRC, 0) for info in pack.infolist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} can not be read as a zip ({error}): make it anew") from error


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
