"""Uploads: files that were sent to a server, in the PKG's data folder until they are imported."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import IO, Literal

from slipstream.app.backup.folders import LockAt, disk_trouble
from slipstream.app.bringing import Bringing
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.positions import ORIGIN, Position
from slipstream.events.applying import BATCH, EVENTS_FORM, Applier, ApplyReport
from slipstream.events.import_state import ImportProgress, ImportReport
from slipstream.events.lines import CHUNK_BYTES, Line, bounded_lines, checked_chunks, told_of
from slipstream.events.packing import lines_read, unpacked_name
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import APOC

UPLOADS_FOLDER = "uploads"
NAME_BYTES_MAX = 200
_PREFIX = "u-"
_TOKEN = re.compile(r"u-[0-9a-f]{32}")
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]+")
_LOCK_NAME = ".running.lock"

Form = Literal["apoc", "csv", "neo4j", "graphml", "node-link", "rdf", "notes", "events"]
_IMPORTED = [field.name for field in fields(ImportReport)]
OnBytes = Callable[[int, int], None]
"""Told how many bytes of the file have been read, and of how many; may raise, to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReport:
    """What an upload brought; `applied` to `passed` are of events, `entities` to `left_out` of everything else."""

    form: Form
    entities: int = 0
    relationships: int = 0
    resumed_at_line: int = 0
    deleted: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    applied: int = 0
    duplicates: int = 0
    outdated: int = 0
    ignored: int = 0
    passed: dict[str, int] = field(default_factory=dict)
    rejected: int = 0
    """These are dead letters."""
    errors: list[str] = field(default_factory=list)
    """The first reasons for rejections."""
    notes: list[str] = field(default_factory=list)
    position: Position = ORIGIN

    def as_import(self) -> ImportReport:
        """Return what it brought, as an import in this process tells it."""
        return ImportReport(**{name: getattr(self, name) for name in _IMPORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the sender says of an upload; see `Bringing.import_files`."""

    options: ReadOptions = field(default_factory=ReadOptions)
    replace_source: str | None = None
    confirm: str | None = None


class Uploads:
    """
    The folder of a PKG's uploads; each has a folder of its own, locked while it is written.

    What a killed process has left, and no request names, is removed by the next owner.
    """

    def __init__(self, data: Path, lock_at: LockAt) -> None:
        self._folder, self._lock_at = data / UPLOADS_FOLDER, lock_at

    @contextmanager
    def begun(self, name: str) -> Iterator[tuple[str, IO[bytes]]]:
        """
        Yield the token of a new upload and its file, which is removed when the block raises.

        Ask for the import within the block: behind it, an upload that no request names is taken for a left one.
        Raises `InvalidInputError` for a name that is no file's, errors of the disk as `disk_trouble` does.
        """
        checked = _checked(name)
        with disk_trouble(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            token = f"{_PREFIX}{secrets.token_hex(16)}"
            folder = self._folder / token
            folder.mkdir(mode=0o700)
            lock = self._lock_at(folder / _LOCK_NAME)
            lock.lock()
            try:
                with (folder / checked).open("xb", buffering=0) as file:
                    (folder / checked).chmod(0o600)
                    yield token, file
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            finally:
                lock.unlock()

    def path_of(self, token: str) -> Path:
        """Return the file of an upload; raises `NotFoundError` when there is none (any more)."""
        if _TOKEN.fullmatch(token) is not None:
            folder = self._folder / token
            files = [path for path in _within(folder) if path.name != _LOCK_NAME]
            if files:
                return files[0]
        raise NotFoundError(f"there is no upload {token[:40]!r} (any more): send the file again")

    def remove(self, token: str) -> None:
        """Remove an upload; harmless when it is gone."""
        if _TOKEN.fullmatch(token) is not None:
            shutil.rmtree(self._folder / token, ignore_errors=True)

    def remove_left(self, named: Collection[str]) -> None:
        """Remove what killed processes have left, but for uploads that are `named` or being written."""
        for folder in _within(self._folder):
            if folder.name in named or not folder.is_dir():
                continue
            lock = self._lock_at(folder / _LOCK_NAME)
            if lock.lock():
                try:
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    lock.unlock()


def _within(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _checked(name: str) -> str:
    """Return the name of a file, never a path; raises `InvalidInputError` for anything else."""
    is_fit = _NAME.fullmatch(name) is not None and not name.startswith(".")
    if not is_fit or len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES_MAX:
        raise InvalidInputError(
            f"must be the name of a file, without a path, of at most {NAME_BYTES_MAX} bytes", field="name"
        )
    return name


def import_upload(bringing: Bringing, path: Path, form: Form, said: Said, on_bytes: OnBytes) -> UploadReport:
    """Import a graph; dumps of one name are one source, wherever they were sent from, unless they have a prefix."""

    def on_progress(progress: ImportProgress) -> None:
        on_bytes(progress.done_bytes, progress.total_bytes)

    options = said.options
    if form == APOC and options.id_prefix is None:
        options = replace(options, id_prefix=f"{unpacked_name(path)}#")
    report = bringing.import_files(
        path,
        format=form,
        options=options,
        replace_source=said.replace_source,
        confirm=said.confirm,
        on_progress=on_progress,
    )
    return UploadReport(form=form, **{name: getattr(report, name) for name in _IMPORTED})


def apply_events(applier: Applier, path: Path, on_bytes: OnBytes) -> UploadReport:
    """Apply change events, each once."""
    total = path.stat().st_size
    with lines_read(path) as (content, raw):

        def on_batch(_: ApplyReport) -> None:
            on_bytes(raw.tell(), total)

        read = told_of(iter(partial(content.read, CHUNK_BYTES), b""), lambda: on_bytes(raw.tell(), total))
        chunks = checked_chunks(read, path.name, EVENTS_FORM)
        report = applier.run(_batches(line for line, _ in bounded_lines(chunks)), on_batch, source=path.name)
    return UploadReport(
        form="events",
        applied=report.applied,
        duplicates=report.duplicates,
        outdated=report.outdated,
        ignored=report.ignored,
        passed=dict(report.passed),
        rejected=report.rejected,
        errors=report.errors,
        notes=list(report.said),
        position=report.position,
    )


def _batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
