"""Dumps and change events, sent to a server as they are read; it imports and applies them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from slipstream.app.client.wire import Wire
from slipstream.domain.errors import ConfigError, UnsupportedError
from slipstream.domain.positions import Position
from slipstream.domain.refusals import CutLine
from slipstream.domain.work import DeadLetter
from slipstream.events.applying import Applier, ApplyReport
from slipstream.events.importing import BATCH, Importer, ImportProgress, ImportReport, OnProgress
from slipstream.events.lines import CHUNK_BYTES, Line

_Report = TypeVar("_Report", ImportReport, ApplyReport)
_REPLAY = "call `replay_dead_letters`, which the server does"


class WireImporter(Importer):
    """Sends a dump to the server, piece by piece."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def run(
        self,
        path: Path,
        on_progress: OnProgress | None = None,
        batch: int = BATCH,
        *,
        id_prefix: str | None = None,
    ) -> ImportReport:
        """
        Send a file, and return what its import brought. `on_progress` tells what was sent; the server batches.

        Raises `ConfigError` when the file can not be read, or is no dump. What was imported before an error stays:
        importing the same file again goes on.
        """
        del batch
        try:
            total = path.stat().st_size
            with path.open("rb") as file:
                pieces = _told(iter(lambda: file.read(CHUNK_BYTES), b""), total, on_progress)
                found = _sent(self._wire, pieces, format="apoc", name=id_prefix or path.name)
        except OSError as error:
            raise ConfigError(f"{path} can not be read: {error.strerror}") from error
        return _report_of(ImportReport, found)

    def replay(self, letter: DeadLetter) -> bool:
        """Raise: letters are replayed by the server."""
        raise UnsupportedError(f"importer.replay of {letter.id} can not be had from a server: {_REPLAY}")


class WireApplier(Applier):
    """Sends change events to the server, as they come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def run(
        self,
        lines: Iterable[Sequence[Line]],
        on_batch: Callable[[ApplyReport], None] | None = None,
        *,
        source: str | None = None,
    ) -> ApplyReport:
        """Send batches of JSON lines, and return what they brought; `on_batch` is called once, at the end."""
        found = _sent(self._wire, _pieces(lines), format="events", name=source or "events")
        report = _report_of(ApplyReport, found)
        if on_batch is not None:
            on_batch(report)
        return report

    def replay(self, letter: DeadLetter) -> bool:
        """Raise: letters are replayed by the server."""
        raise UnsupportedError(f"applier.replay of {letter.id} can not be had from a server: {_REPLAY}")


def _told(pieces: Iterator[bytes], total: int, on_progress: OnProgress | None) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        if on_progress is not None:
            on_progress(ImportProgress(done, total, 0))


def _pieces(lines: Iterable[Sequence[Line]]) -> Iterator[bytes]:
    for batch in lines:
        for line in batch:
            if isinstance(line, CutLine):
                raise UnsupportedError("a line that is too long, or not text, can not be sent: leave it out")
            yield line.rstrip("\n").encode() + b"\n"


def _sent(wire: Wire, pieces: Iterator[bytes], **query: str) -> dict[str, Any]:
    answer = wire.send(
        "POST", f"/v1/imports?{urlencode(query)}", pieces, headers={"Content-Type": "application/octet-stream"}
    )
    found: dict[str, Any] = answer.data
    return found


def _report_of(kind: type[_Report], found: dict[str, Any]) -> _Report:
    """Return a report with what the server tells of it."""
    known = {field.name for field in fields(kind)}
    report = kind(**{name: value for name, value in found.items() if name in known})
    report.position = Position(int(report.position))
    return report
