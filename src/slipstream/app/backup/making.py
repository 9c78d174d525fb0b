"""Makes a backup: files pinned at one moment, copied, restored in a scratch folder, audited, and only then named."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from slipstream._version import __version__
from slipstream.app.backup.auditing import CopyFound
from slipstream.app.backup.copying import Copying
from slipstream.app.backup.folders import begun, disk_trouble, finish, keep_newest, sync_path
from slipstream.app.backup.manifest import FileEntry, IndexEntry, Manifest, copied, write_manifest
from slipstream.app.backup.parts import BackupParts, OnStep, no_step
from slipstream.app.backup.staging import audited, looked_through, make_usable, stage
from slipstream.app.config import CONFIG_NAME, Config
from slipstream.audit.incidents import Found, Seen, judge
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.domain.errors import ConfigError, CorruptionError, InvalidInputError
from slipstream.domain.incidents import Incident
from slipstream.domain.journal_names import CHECKPOINT, FRONTIER, GRAPH_ID, TIMELINE
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.backup import GraphFacts, Pinned, PinnedGraph, PinnedIndex

_ATTEMPTS_MAX, _PAUSE_S = 100, 0.05
_SCRATCH = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """A backup that is whole, and has passed its audit."""

    path: Path
    manifest: Manifest
    copy_s: float
    """How long copying took, the sync to the disk included."""
    check_s: float
    """How long the restore into a scratch folder and its audit took."""
    removed: tuple[Path, ...] = ()
    """Older backups that were removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What the pinned files said of themselves."""

    graph: GraphFacts
    checkpoint: int
    frontier: int
    records: int


class BackupOptions(TypedDict, total=False):
    """What may be said of a backup besides where it goes; see `Backups.backup`."""

    with_cache: bool
    rate_mb_s: float | None
    keep_divergent: bool
    pace: Pace


class Backups:
    """Makes backups of one PKG without asking its engine, so that any process may have it open."""

    def __init__(self, root: Path, config: Config, parts: BackupParts) -> None:
        self._root, self._config, self._parts = root, config, parts
        self._data = root / parts.names.data

    def backup(
        self,
        destination: Path | str,
        *,
        keep: int | None = None,
        with_cache: bool = False,
        rate_mb_s: float | None = None,
        keep_divergent: bool = False,
        on_progress: OnStep = no_step,
        pace: Pace = FULL_SPEED,
    ) -> BackupReport:
        """
        Make a new folder in `destination` with a copy of everything; returns when it has passed its audit.

        With `keep`, only the newest `keep` whole backups of this graph stay there. `rate_mb_s` limits the copying,
        and `pace` the audit. Raises `CorruptionError` when the copy is damaged, or diverges for no reason that the
        log knows (unless `keep_divergent`), and `UnavailableError` when the disk is full or fails. After any
        exception no incomplete backup is left.
        """
        self._check(keep, rate_mb_s)
        clock, target = self._parts.clock, Path(destination)
        self._check_place(target)
        with begun(target, clock.now(), self._parts.lock_at) as folder:
            began = clock.monotonic()
            moment = self._copy(folder, on_progress, rate_mb_s, with_cache=with_cache)
            copied_at = clock.monotonic()
            manifest = self._prove(folder, moment, on_progress, pace, keep_divergent=keep_divergent)
            sync_path(write_manifest(folder, manifest))
            whole = finish(folder)
        with disk_trouble(target):
            gone = [] if keep is None else keep_newest(target, keep, manifest.graph_id, whole)
        return BackupReport(
            path=whole,
            manifest=manifest,
            copy_s=copied_at - began,
            check_s=clock.monotonic() - copied_at,
            removed=tuple(gone),
        )

    @staticmethod
    def _check(keep: int | None, rate_mb_s: float | None) -> None:
        if keep is not None and keep < 1:
            raise InvalidInputError("must be at least 1: the new backup is one of those that are kept", field="keep")
        if rate_mb_s is not None and not rate_mb_s > 0:
            raise InvalidInputError("must be more than 0", field="rate_mb_s")

    def _check_place(self, destination: Path) -> None:
        if not (self._data / self._parts.names.graph).is_file():
            raise ConfigError(f"{self._root} holds no graph: there is nothing to back up")
        if destination.resolve().is_relative_to(self._data.resolve()):
            raise ConfigError(
                f"{destination} is inside of {self._data}, which a restore replaces: choose another one"
            )

    # ------------------------------------------------------------------ copying

    def _copy(self, folder: Path, on_step: OnStep, rate_mb_s: float | None, *, with_cache: bool) -> _Moment:
        names = self._parts.names
        with ExitStack() as stack:
            graph, index = self._pinned(stack)
            files: dict[str, Pinned] = {names.graph: graph}
            if index is not None:
                files[names.index] = index
            cache = self._data / names.cache
            if with_cache and cache.is_file():
                files[names.cache] = stack.enter_context(closing(self._parts.pin_file(cache)))
            moment = _moment(graph, index)
            Copying(folder, files, self._parts.clock, rate_mb_s).run(on_step)
        settings = self._root / CONFIG_NAME
        if settings.is_file():
            copied(settings, folder / CONFIG_NAME)
            sync_path(folder / CONFIG_NAME)
        return moment

    def _pinned(self, stack: ExitStack) -> tuple[PinnedGraph, PinnedIndex | None]:
        """
        Pin both files at one moment: the index first, so that it reflects nothing that the graph does not hold.

        A process that opens the PKG changes a mark in both: a moment between these two changes is not taken.
        """
        names, parts = self._parts.names, self._parts
        wrong: Incident | None = None
        for _ in range(_ATTEMPTS_MAX):
            with ExitStack() as attempt:
                path = self._data / names.index
                index = attempt.enter_context(closing(parts.pin_index(path))) if path.is_file() else None
                graph = attempt.enter_context(closing(parts.pin_graph(self._data / names.graph)))
                wrong = None if index is None else _incident(graph.facts(), index)
                if wrong is None:
                    stack.enter_context(attempt.pop_all())
                    return graph, index
            parts.clock.sleep(_PAUSE_S)
        raise CorruptionError(f"{self._root} holds no graph any more") if wrong is None else wrong.refusal()

    # ------------------------------------------------------------------ proving

    def _prove(self, folder: Path, moment: _Moment, on_step: OnStep, pace: Pace, *, keep_divergent: bool) -> Manifest:
        """Restore the copy into a scratch folder, audit it there, and return its manifest."""
        parts, scratch = self._parts, folder / _SCRATCH
        data = scratch / parts.names.data
        names = sorted(path.name for path in folder.iterdir() if path.name in self._copied_names())
        data.mkdir(parents=True, mode=0o700)
        files = stage(folder, names, data, {}, on_step)
        looked_through(data, names, parts)
        _compare(moment, data, parts)
        has_vectors = parts.has_vectors(self._config)
        make_usable(data, parts, has_vectors=has_vectors)
        found = audited(scratch, self._config, parts, on_step, moment.graph.entities, pace)
        if found.divergent and not keep_divergent:
            raise CorruptionError(divergence(found))
        shutil.rmtree(scratch)
        return self._manifest(moment, found, files)

    def _copied_names(self) -> tuple[str, ...]:
        names = self._parts.names
        return (names.graph, names.index, names.cache, CONFIG_NAME)

    def _manifest(self, moment: _Moment, found: CopyFound, files: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            slipstream=__version__,
            sqlite=self._parts.sqlite_version,
            created_at=self._parts.clock.now(),
            graph_id=moment.graph.graph_id,
            position=moment.graph.position,
            checkpoint=moment.checkpoint,
            frontier=moment.frontier,
            schema_version=moment.graph.schema_version,
            entities=moment.graph.entities,
            relationships=moment.graph.relationships,
            graph_digest=found.graph_digest,
            dead_letters=found.dead_letters,
            index=IndexEntry(
                adapter=self._config.index.adapter,
                has_vectors=found.index_digest is not None,
                records=moment.records,
                digest=found.index_digest,
                divergent=sum(found.divergent.values()),
                owed=found.owed,
            ),
            files=files,
        )


def _incident(facts: GraphFacts, index: PinnedIndex) -> Incident | None:
    """Return why the index can not have been built from this graph, by the rule of every open; None if it can."""
    left = index.value(TIMELINE)
    seen = Seen(
        checkpoint=Position(_number(index, CHECKPOINT)),
        holds_records=index.records() > 0,
        identity=index.value(GRAPH_ID),
        marks=None if left is None else tuple(json.loads(left)),
    )
    is_empty = facts.position == ORIGIN and facts.entities == 0
    return judge(seen, Found(identity=facts.graph_id, head=facts.position, is_empty=is_empty, mark=facts.timeline))


def _moment(graph: PinnedGraph, index: PinnedIndex | None) -> _Moment:
    if index is None:
        return _Moment(graph=graph.facts(), checkpoint=0, frontier=0, records=0)
    return _Moment(
        graph=graph.facts(),
        checkpoint=_number(index, CHECKPOINT),
        frontier=_number(index, FRONTIER),
        records=index.records(),
    )


def _number(index: PinnedIndex, name: str) -> int:
    return int(index.value(name) or 0)


def _compare(moment: _Moment, data: Path, parts: BackupParts) -> None:
    """Raise `CorruptionError` when the facts of the copy differ from those of the pinned files."""
    index = data / parts.names.index
    with ExitStack() as stack:
        graph = stack.enter_context(closing(parts.pin_graph(data / parts.names.graph)))
        copy = stack.enter_context(closing(parts.pin_index(index))) if index.is_file() else None
        if _moment(graph, copy) != moment:
            raise CorruptionError(f"the copy of {data.parent} does not hold what was copied: try again")


def divergence(found: CopyFound) -> str:
    """Return one line on what diverges."""
    counts = ", ".join(f"{count} {name}" for name, count in sorted(found.divergent.items()))
    return (
        f"graph and index of the copy differ, and the log does not say why ({counts}; {', '.join(found.examples)}): "
        "`slipstream verify` shows it in the PKG too, `slipstream repair` mends it. No backup was kept"
    )
