"""Dumps and change events, sent to a server as they are read; it keeps them until they are in. And its backups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlencode

from slipstream.app.backup.making import BackupReport
from slipstream.app.backup.manifest import Manifest
from slipstream.app.backup.parts import OnStep
from slipstream.app.client.answers import Answer
from slipstream.app.client.calling import WireCaller
from slipstream.app.remote.keeping import MAKE_BACKUP, TAKE_UPLOAD
from slipstream.app.uploads import Said, UploadReport
from slipstream.domain.errors import ConfigError, UnsupportedError
from slipstream.domain.refusals import CutLine
from slipstream.domain.work import DeadLetter
from slipstream.events.applying import Applier, ApplyReport
from slipstream.events.import_state import ImportProgress, ImportReport, OnProgress
from slipstream.events.importing import BATCH, Importer
from slipstream.events.lines import CHUNK_BYTES, Line
from slipstream.events.statements import Replacing
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import APOC

_REPLAY = "call `replay_dead_letters`, which the server does"
_AT_ONCE = {"wait_s": "0"}
"""Have the server answer with the number of a request, which is followed: so progress is told, and no wait ends."""


class WireImporter(Importer):
    """Sends a dump to the server, piece by piece, and follows its import."""

    def __init__(self, caller: WireCaller) -> None:
        self._caller = caller

    def run(
        self,
        path: Path,
        on_progress: OnProgress | None = None,
        batch: int = BATCH,
        *,
        id_prefix: str | None = None,
        replacing: Replacing | None = None,
    ) -> ImportReport:
        """
        Send a file, and return what its import brought; `on_progress` tells of the import, not of the sending.

        Raises `ConfigError` when the file can not be read, or is no dump. An import that was begun is finished by the
        server, even if it is killed before; importing the same file again is harmless. The server batches.
        """
        del batch
        source = None if replacing is None else replacing.source
        confirm = None if replacing is None else replacing.confirm
        said = Said(options=ReadOptions(id_prefix=id_prefix), replace_source=source, confirm=confirm)
        return imported(self._caller, path, APOC, said, on_progress)

    def replay(self, letter: DeadLetter) -> bool:
        """Raise: letters are replayed by the server."""
        raise UnsupportedError(f"importer.replay of {letter.id} can not be had from a server: {_REPLAY}")


def imported(caller: WireCaller, path: Path, form: str, said: Said, on_progress: OnProgress | None) -> ImportReport:
    """Send a file, and return what its import brought; raises `ConfigError` when it can not be read."""
    options = said.options
    query = {
        "name": path.name,
        "type": options.entity_type,
        "id": options.id_column,
        "relate": [relate.told for relate in options.relate],
        "column": [f"{name}={kind}" for name, kind in options.columns],
        "delimiter": options.delimiter,
        "id_prefix": options.id_prefix,
        "replace_source": said.replace_source,
        "confirm": said.confirm,
    }
    try:
        with path.open("rb") as file:
            pieces = iter(lambda: file.read(CHUNK_BYTES), b"")
            sent = _sent(caller, pieces, form, {name: value for name, value in query.items() if value is not None})
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error.strerror}") from error
    callbacks: dict[str, Callable[..., None]] = {}
    if on_progress is not None:
        callbacks["on_progress"] = lambda done, total: on_progress(ImportProgress(done, total, 0))
    return _taken(caller, sent, callbacks).as_import()


class WireApplier(Applier):
    """Sends change events to the server, as they come, and follows what becomes of them."""

    def __init__(self, caller: WireCaller) -> None:
        self._caller = caller

    def run(
        self,
        lines: Iterable[Sequence[Line]],
        on_batch: Callable[[ApplyReport], None] | None = None,
        *,
        source: str | None = None,
    ) -> ApplyReport:
        """
        Send batches of JSON lines, and return what they brought; `on_batch` is called once, at the end.

        Nothing is applied before all of them were sent: a stream without end is not for this.
        """
        name = "events.jsonl" if source is None else Path(source).name
        sent = _sent(self._caller, _pieces(lines), "events", {"name": name})
        found = _taken(self._caller, sent, {})
        report = ApplyReport(
            applied=found.applied,
            duplicates=found.duplicates,
            outdated=found.outdated,
            ignored=found.ignored,
            rejected=found.rejected,
            passed=Counter(found.passed),
            position=found.position,
            errors=list(found.errors),
            notes=dict(_note(line) for line in found.notes),
        )
        if on_batch is not None:
            on_batch(report)
        return report

    def replay(self, letter: DeadLetter) -> bool:
        """Raise: letters are replayed by the server."""
        raise UnsupportedError(f"applier.replay of {letter.id} can not be had from a server: {_REPLAY}")


def backed_up(caller: WireCaller, keep: int | None, on_progress: OnStep) -> BackupReport:
    """Have the server make a backup in the folder that it was told at its start; `path` is on its machine."""
    answer = caller.wire.ask("POST", "/v1/backups", {"keep": keep, "wait_s": 0})
    data = answer.data
    if "id" in data:
        found: BackupReport = caller.follow(MAKE_BACKUP, int(data["id"]), {"on_progress": on_progress})
        return found
    return BackupReport(
        path=Path(data["backup"]["name"]),
        manifest=Manifest.model_validate(data["backup"]["manifest"]),
        copy_s=data["copy_s"],
        check_s=data["check_s"],
        removed=tuple(map(Path, data["removed"])),
    )


def _sent(caller: WireCaller, pieces: Iterator[bytes], form: str, query: Mapping[str, object]) -> Answer:
    asked = urlencode({"format": form, **query, **_AT_ONCE}, doseq=True)
    return caller.wire.send(
        "POST", f"/v1/imports?{asked}", pieces, headers={"Content-Type": "application/octet-stream"}
    )


def _taken(caller: WireCaller, answer: Answer, callbacks: Mapping[str, Callable[..., None]]) -> UploadReport:
    """Return what became of an upload: at once, or by following its request."""
    data = answer.data
    if "id" in data:
        found: UploadReport = caller.follow(TAKE_UPLOAD, int(data["id"]), callbacks)
        return found
    return UploadReport(**{field.name: data[field.name] for field in fields(UploadReport)})


def _pieces(lines: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    for batch in lines:
        for line in batch:
            if isinstance(line, CutLine):
                raise UnsupportedError("a line that is too long, or not text, can not be sent: leave it out")
            yield line.rstrip("\n").encode() + b"\n"


def _note(line: str) -> tuple[str, str]:
    column, _, text = line.partition(": ")
    return column, text
