"""Export of a whole graph as JSON lines, as of one moment, while others go on writing it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from slipstream._version import __version__
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError
from slipstream.domain.positions import Position
from slipstream.domain.texts import printable_json
from slipstream.events.formats.dump import DumpHead, head_row, node_row, relationship_row
from slipstream.events.packing import GZIP, ZSTD, packed
from slipstream.ports.backup import PinnedGraph
from slipstream.ports.clock import Clock

STANDARD_OUTPUT = "-"
REJECTED_SHOWN = 20
TOLD_EVERY = 500
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

OnRow = Callable[[int, int], None]
"""Called with the rows written and the rows in all; may raise to stop, and then no file is left."""


@dataclass(slots=True)
class ExportReport:
    """What an export holds, and as of when."""

    position: Position
    schema_version: int
    entities: int = 0
    relationships: int = 0
    unreadable: int = 0
    """Rows not in the export, because another program wrote properties that can not be read."""
    errors: list[str] = field(default_factory=list)
    """The first of them."""

    def leave_out(self, why: str) -> None:
        """Count a row that is not in the export."""
        self.unreadable += 1
        if len(self.errors) < REJECTED_SHOWN:
            self.errors.append(why)


class Exporter:
    """
    Writes one graph, read in one read transaction, so that all of it is as of one position.

    No writer waits for an export, but the graph's write-ahead log grows until it has ended.
    """

    def __init__(self, pin: Callable[[], PinnedGraph], clock: Clock) -> None:
        self.pin, self._clock = pin, clock

    def export(self, path: Path | str, on_row: OnRow | None = None, *, head: bool = True) -> ExportReport:
        """
        Write a file, packed as its name says (`.gz`, `.zst`), or to standard output (`-`).

        GraphML if the file is called so (`.graphml`), else JSON lines. A file appears under its name only when it is
        whole. Without `head`, every row is one that other readers of APOC's form know. Raises `ConfigError` for a
        path that can not be a file, `UnavailableError` when writing fails.
        """
        from slipstream.app.graph_export import GraphMLExporter, is_graphml

        if is_graphml(path):
            return GraphMLExporter(self.pin).export(path, on_row)
        with closing(self.pin()) as graph, output_to(str(path)) as stream:
            return _Writing(graph, stream, on_row).run(self._head_of(graph) if head else None)

    def _head_of(self, graph: PinnedGraph) -> dict[str, Any]:
        facts = graph.facts()
        steps = list(graph.schema_steps())
        schema = [(step.entity_types, step.relationship_types) for step in steps]
        row = head_row(
            DumpHead(facts.entities, facts.relationships, schema),
            slipstream=__version__,
            exported_at=self._clock.now().isoformat(),
            graph_id=facts.graph_id,
            position=facts.position,
            schema_version=facts.schema_version,
        )
        for told, step in zip(row["schema"], steps, strict=True):
            told.update(version=step.version, position=step.position, created_at=step.created_at, reason=step.reason)
        return row


class _Writing:
    def __init__(self, graph: PinnedGraph, stream: IO[bytes], on_row: OnRow | None) -> None:
        self._graph, self._stream, self._on_row = graph, stream, on_row
        facts = graph.facts()
        self._total = facts.entities + facts.relationships
        self._report = ExportReport(facts.position, facts.schema_version)

    def run(self, head: dict[str, Any] | None) -> ExportReport:
        report = self._report
        if head is not None:
            self._write(head)
        for entity in self._graph.entities():
            report.entities += self._tried(partial(_row_of_entity, entity))
        for found, source, target in self._graph.relationships():
            report.relationships += self._tried(partial(_row_of_relationship, found, source, target))
        if self._on_row is not None:
            self._on_row(self._total, self._total)
        return report

    def _tried(self, row: Callable[[], dict[str, Any]]) -> bool:
        """Write a row; return False, and count it as unreadable, when it can not be read."""
        try:
            self._write(row())
        except PoisonEventError as error:
            self._report.leave_out(str(error))
            return False
        return True

    def _write(self, row: dict[str, Any]) -> None:
        self._stream.write(printable_json(_ENCODER.encode(row)).encode() + b"\n")
        done = self._report.entities + self._report.relationships + self._report.unreadable
        if self._on_row is not None and done % TOLD_EVERY == 0:
            self._on_row(done, self._total)


def properties_of(stored: Entity | Relationship) -> dict[str, Any] | None:
    """Return all properties; None when another program wrote what can not be read."""
    try:
        return dict(stored.properties)
    except PoisonEventError:
        return None


def suffix_of(path: Path | str) -> str:
    """Return the ending that tells the form of a file, packed or not, in lower case: `.csv` for `a.CSV.gz`."""
    return PurePosixPath(str(path).removesuffix(GZIP).removesuffix(ZSTD)).suffix.lower()


def _row_of_entity(entity: Entity) -> dict[str, Any]:
    return node_row(entity.id, entity.type, entity.properties)


def _row_of_relationship(found: Relationship, source_type: str, target_type: str) -> dict[str, Any]:
    return relationship_row(found.ref, (source_type, target_type), found.properties)


@contextmanager
def output_to(name: str) -> Iterator[IO[bytes]]:
    """Yield a stream to write to; a file gets its name at the end of the block, synced, or is removed on failure."""
    if name == STANDARD_OUTPUT:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except OSError as error:
            error.filename = "standard output"
            raise
        return
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"{path} is a directory: name a file in it")
    if path.exists() and not path.is_file():
        yield from _opened_special(path)
        return
    begun = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with begun.open("xb") as file:
            yield from _packing(path.name, file)
            os.fsync(file.fileno())
        begun.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(f"{path} can not be written ({error.strerror}): nothing is left of it") from error
    finally:
        begun.unlink(missing_ok=True)


def _opened_special(path: Path) -> Iterator[IO[bytes]]:
    """Write straight into a pipe or a device: renaming a file onto its name would destroy it."""
    try:
        with path.open("wb") as file:
            yield from _packing(path.name, file)
    except OSError as error:
        raise UnavailableError(
            f"{path} can not be written ({error.strerror}): see who reads it, or name a file"
        ) from error


def _packing(name: str, file: IO[bytes]) -> Iterator[IO[bytes]]:
    stream = packed(name, file)
    yield stream
    if stream is not file:
        stream.close()
    file.flush()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
