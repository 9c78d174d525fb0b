"""
The tampering suite: damages a real index behind the engine's back, and requires every audit to find exactly that.

An index adapter's test file subclasses `TamperingSuite` and gives the configuration that chooses the adapter, the
files of the store, and raw access to them (`RawStore`). Each case works on a copy of one PKG, whose audit was clean.
"""

from __future__ import annotations

import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from slipstream.app.composition import Wrapping
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.audit.findings import AuditReport
from slipstream.domain.audits import Finding
from slipstream.domain.errors import RepairNeedsConfirmationError
from slipstream.domain.stamps import vector_checksum
from slipstream.ports.index import VectorIndex
from slipstream.testkit.suites.tampering_raw import RawStore, RefusedError
from slipstream.testkit.suites.tampering_ways import WAYS, Damage, damage_each
from slipstream.testkit.suites.tampering_world import (
    assert_agrees,
    assert_found,
    data_of,
    edit,
    found_by,
    graph_dump,
    groups_of,
    open_world,
    populate,
    run_until_settled,
)

__all__ = ["RawStore", "RefusedError", "TamperingSuite"]

_FORGED = b"made by no model"
_DECIDED_BY_THE_GRAPH = ("fingerprint", "entity_type", "extraction_template_version", "source_document_id")


class TamperingSuite(ABC):
    """What an audit must find, and a repair must mend, whatever index is behind the engine."""

    config: ClassVar[Config]
    """Chooses the index."""
    refused: ClassVar[frozenset[str]] = frozenset()
    """Names of `WAYS` that the store itself prevents."""
    holds_journal: ClassVar[bool] = False
    """Whether the store holds the journal too, so that after losing it or going back the engine catches up itself."""

    @abstractmethod
    def raw(self, data: Path) -> AbstractContextManager[RawStore]:
        """Open the store in a PKG's data directory with the vendor's own client."""

    @abstractmethod
    def store_files(self, data: Path) -> Sequence[Path]:
        """Return the files and directories that are the store."""

    def wrap_index(self, index: VectorIndex) -> VectorIndex:
        """Wrap the audited index; for suites that must fail."""
        return index

    # ------------------------------------------------------------------ a PKG to damage

    @pytest.fixture(scope="class")
    @classmethod
    def template(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        directory = tmp_path_factory.mktemp("template") / "pkg"
        with open_world(directory, cls.config) as slipstream:
            populate(slipstream.pkg)
            run_until_settled(slipstream)
            assert_agrees(slipstream.verify())
            report = slipstream.verify(incremental=True)
            assert report.kind == "incremental"
            assert_agrees(report)
        return directory

    @pytest.fixture
    def directory(self, template: Path, tmp_path: Path) -> Path:
        directory = shutil.copytree(template, tmp_path / "pkg")
        with self.open(directory) as slipstream:  # a copy may be anybody's: its first audit is a full one
            slipstream.verify()
            slipstream.verify(incremental=True)
        return directory

    def open(self, directory: Path) -> Slipstream:
        """Open the PKG as every case does: the engine is stopped."""
        return open_world(directory, self.config, Wrapping(index=self.wrap_index))

    # ------------------------------------------------------------------ finding and repairing

    @pytest.mark.parametrize("name", WAYS)
    def test_damage_is_found_with_its_class_and_repaired(self, directory: Path, name: str) -> None:
        with self.raw(data_of(directory)) as raw:
            victims = groups_of(raw)[3]
            damage = Damage()
            if name in self.refused:
                with pytest.raises(RefusedError):
                    WAYS[name](raw, victims)
            else:
                damage = WAYS[name](raw, victims)
        self._assert_found_and_repaired(directory, damage)

    def test_everything_at_once(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        damage = self._damaged(directory)
        with caplog.at_level(logging.WARNING):
            self._assert_found_and_repaired(directory, damage)
        for stray in damage.strays:
            assert repr(stray) in caplog.text
        with self.raw(data_of(directory)) as raw:
            assert not damage.strays & set(raw.keys())

    def test_an_old_copy_of_the_store_is_found_and_caught_up(self, directory: Path, tmp_path: Path) -> None:
        data = data_of(directory)
        backups = {path: tmp_path / f"old {path.name}" for path in self.store_files(data)}
        for path, backup in backups.items():
            _copy(path, backup)
        before = self._records(data)
        with self.open(directory) as slipstream:
            edit(slipstream.pkg)
            run_until_settled(slipstream)
            assert_agrees(slipstream.verify())
        after = self._records(data)
        for path, backup in backups.items():
            _remove(path)
            _copy(backup, path)
        damage = (
            Damage().of("missing", *(after.keys() - before.keys())).of("orphaned", *(before.keys() - after.keys()))
        )
        damage.of("stale", *(key for key in before.keys() & after.keys() if before[key] != after[key]))
        assert all(damage.found.values())
        # The mark in the store is an older one than the graph's: the graph moves on, and all is compared.
        self._assert_found_and_repaired(directory, damage, falls_back=True)

    def test_a_lost_store_is_found_and_filled_again(self, directory: Path) -> None:
        data = data_of(directory)
        keys = list(self._records(data))
        for path in self.store_files(data):
            _remove(path)
        self._assert_found_and_repaired(directory, Damage().of("missing", *keys), falls_back=True, is_lost=True)

    def test_a_vector_replaced_with_its_checksum_is_found_by_a_deep_audit(self, directory: Path) -> None:
        forged = np.frombuffer(_FORGED, dtype=np.uint8).astype(np.float32)
        forged /= np.float32(np.linalg.norm(forged))
        with self.raw(data_of(directory)) as raw:
            victims = groups_of(raw)[5].all
            for key in victims:
                raw.put_vector(key, forged)
                raw.edit(key, "checksum", vector_checksum(forged))
        with self.open(directory) as slipstream:
            assert_agrees(slipstream.verify(incremental=True))
            assert_agrees(slipstream.verify())
            report = slipstream.verify(deep=DEEP_ALL)
            assert_found(report, {"drifted": set(victims)})
            self._repair(slipstream, report)
            assert_agrees(slipstream.verify(deep=DEEP_ALL))

    # ------------------------------------------------------------------ what an audit costs and keeps

    def test_an_incremental_audit_of_an_untouched_store_reads_almost_nothing(self, directory: Path) -> None:
        with self.open(directory) as slipstream:
            report = slipstream.verify(incremental=True)
            assert report.kind == "incremental"
            assert_agrees(report)
            held = 0 if slipstream.auditor.has_digests else report.total_embeddings
            assert (report.rows.graph, report.rows.index, report.rows.vectors) == (0, held, held)

    def test_findings_are_kept_and_paged(self, directory: Path) -> None:
        self._damaged(directory)
        with self.open(directory) as slipstream:
            reports = [slipstream.verify(incremental=True), slipstream.verify()]
        with self.open(directory) as slipstream:
            for report in reports:
                assert report.id is not None
                kept = slipstream.audits.audit(report.id)
                assert kept is not None
                assert kept.report["counts"] == report.counts()
                assert _findings(slipstream, report.id) == sorted(report.findings())
                missing = [finding for finding in sorted(report.findings()) if finding.kind == "missing"]
                assert list(slipstream.audits.findings(report.id, None, 1_000, "missing")) == missing

    # ------------------------------------------------------------------ parts

    def _assert_found_and_repaired(
        self, directory: Path, damage: Damage, *, falls_back: bool = False, is_lost: bool = False
    ) -> None:
        with self.open(directory) as slipstream:
            before = graph_dump(slipstream)
            gone = damage.found.get("missing", set()) | damage.found.get("orphaned", set())
            # Damage must not break a search, nor win it; by words a record without a vector is found all the same.
            hits = slipstream.search("person 7 of Basel", k=500, mode="vector")
            assert not {hit.entity_id for hit in hits} & {key[2:] for key in gone}
            incremental = slipstream.verify(incremental=True)
            assert incremental.kind == "incremental" or falls_back, incremental.notes
            assert_found(incremental, damage.found)
            full = slipstream.verify()
            assert_found(full, damage.found)
            assert full.unsettled == incremental.unsettled == 0
            assert full.is_consistent is (not damage.found)
            self._repair(slipstream, full, heals_itself=is_lost or (falls_back and self.holds_journal))
            assert graph_dump(slipstream) == before

    def _repair(self, slipstream: Slipstream, report: AuditReport, *, heals_itself: bool = False) -> None:
        """Repair, which must suffice, and repair again, which must do nothing; or let the engine catch up."""
        divergent = set().union(*found_by(report).values())
        before = slipstream.embedding.stats.computed
        slipstream.sync.start()
        assert heals_itself or _repaired(slipstream, report) == len(divergent)
        run_until_settled(slipstream)
        after = slipstream.verify()
        assert_agrees(after)
        assert_agrees(slipstream.verify(incremental=True))
        assert slipstream.status().dead_letters == 0
        computed = slipstream.embedding.stats.computed
        assert computed - before <= len(divergent)
        assert slipstream.repair(after) == 0
        assert slipstream.repair() == 0
        run_until_settled(slipstream)
        assert slipstream.embedding.stats.computed == computed

    def _damaged(self, directory: Path) -> Damage:
        """Damage a group of records in each way that the store does not refuse."""
        with self.raw(data_of(directory)) as raw:
            return damage_each(raw, groups_of(raw), self.refused)

    def _records(self, data: Path) -> dict[str, list[object]]:
        """Return the part of each stored record that depends only on the graph."""
        with self.raw(data) as raw:
            fields = {key: raw.fields(key) for key in raw.keys()}  # noqa: SIM118  (a store, no dictionary)
        return {key: [found.get(name) for name in _DECIDED_BY_THE_GRAPH] for key, found in fields.items()}


def _findings(slipstream: Slipstream, audit_id: int) -> list[Finding]:
    found: list[Finding] = []
    while page := slipstream.audits.findings(audit_id, found[-1] if found else None, 7):
        assert len(page) <= 7
        found.extend(page)
    return found


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _repaired(slipstream: Slipstream, report: AuditReport) -> int:
    """Repair what was found, confirming a braked plan; returns how many keys."""
    try:
        return slipstream.repair(report)
    except RepairNeedsConfirmationError as braked:
        return slipstream.repair(confirm=braked.plan["id"])
