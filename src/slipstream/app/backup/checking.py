"""Checks a finished backup: every byte, every file's own checks, and an audit of the PKG that it restores to."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.backup.auditing import CopyFound
from slipstream.app.backup.folders import begun, whole_backups
from slipstream.app.backup.manifest import Manifest, read_manifest
from slipstream.app.backup.parts import BackupParts, OnStep, no_step
from slipstream.app.backup.staging import audited, looked_through, make_usable, stage
from slipstream.app.config import CONFIG_NAME, Config, load_config
from slipstream.domain.errors import ConfigError, CorruptionError

_ELSEWHERE = (
    "it is put together there for a while; copy the backup to a folder that can be written, and look at it there"
)


@dataclass(frozen=True, slots=True)
class CheckedBackup:
    """A backup that is what its manifest says."""

    path: Path
    manifest: Manifest
    found: CopyFound


def check_backup(folder: Path | str, parts: BackupParts, on_progress: OnStep = no_step) -> CheckedBackup:
    """
    Restore a backup into a scratch folder beside it, audit that, and compare everything with the manifest.

    Raises `ConfigError` when the folder is no backup or nothing can be written beside it, `CorruptionError` when the
    backup differs from its manifest, `UnavailableError` when the disk is full or fails.
    """
    source = Path(folder)
    manifest = manifest_of(source)
    with begun(source.absolute().parent, parts.clock.now(), parts.lock_at, _ELSEWHERE) as scratch:
        data = scratch / parts.names.data
        data.mkdir(mode=0o700)
        stage(source, sorted(manifest.files), data, manifest.files, on_progress)
        looked_through(data, sorted(manifest.files), parts)
        config = config_in(data)
        _compare_numbers(manifest, data, parts)
        make_usable(data, parts, has_vectors=manifest.index.has_vectors)
        found = audited(scratch, config, parts, on_progress, manifest.entities)
    _compare_digests(source, manifest, found)
    return CheckedBackup(source, manifest, found)


def manifest_of(source: Path) -> Manifest:
    """Return the manifest of a backup; given a folder of backups, raise `ConfigError` that names the newest one."""
    try:
        return read_manifest(source)
    except ConfigError as error:
        backups = whole_backups(source) if source.is_dir() else []
        if not backups:
            raise
        raise ConfigError(
            f"{source} is no backup, but holds {len(backups)}: name one, the newest is {backups[-1][0]}"
        ) from error


def config_in(data: Path) -> Config:
    """Return the staged configuration, or the default one when none was staged."""
    return load_config(data) if (data / CONFIG_NAME).is_file() else Config()


def _compare_numbers(manifest: Manifest, data: Path, parts: BackupParts) -> None:
    with closing(parts.pin_graph(data / parts.names.graph)) as graph:
        facts = graph.facts()
    for name in ("graph_id", "position", "schema_version", "entities", "relationships"):
        found, told = getattr(facts, name), getattr(manifest, name)
        if found != told:
            raise CorruptionError(
                f"the backup's graph has {name} {found}, its manifest says {told}: use another backup"
            )


def _compare_digests(source: Path, manifest: Manifest, found: CopyFound) -> None:
    for side, told, now in (
        ("graph", manifest.graph_digest, found.graph_digest),
        ("index", manifest.index.digest, found.index_digest),
    ):
        if told != now:
            raise CorruptionError(
                f"the {side} of {source} has digest {now}, its manifest says {told}: use another backup (or check it "
                "with the version of Slipstream that made it: digests may be made in another way since)"
            )
    divergent = sum(found.divergent.values())
    if divergent != manifest.index.divergent:
        raise CorruptionError(
            f"{divergent} records of {source} diverge, {manifest.index.divergent} did when it was made: use another"
        )
