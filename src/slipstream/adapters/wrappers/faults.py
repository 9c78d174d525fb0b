"""
Named failpoints around any port: where a test makes a write fail, half-apply, lose its acknowledgement, or kills the
process.

Each wrapper calls `hook(name)` at its failpoints and is otherwise transparent. A hook that raises simulates a
failure there; one that kills the process simulates a crash there. Survived faults, by name:

    graph.read.before/after            an outage; state read but not used
    graph.commit.after                 a mutation that was not acknowledged
    embed.before/after                 an outage; vectors computed but not written
    index.upsert.before/middle/after   nothing, half of a batch, or all of it written, without acknowledgement
    index.delete.before/after, index.restamp.before/after, index.vacuum.before/after, index.stamps.before
    checkpoint.before/after            the checkpoint about to be saved, or saved in an open transaction
    import.before/after                a batch of an import committed, its progress about to be saved, or saved
    journal.commit.before/after        vectors and checkpoint about to become durable, or durable unnoticed
    leaves.put.before/after            a part of an audit's digest tree about to be stored, or stored
    leaves.clear.before/after          the old digest tree about to be forgotten, or forgotten
    audit_ledger.before/after          the digest tree about to be declared valid (or void), or declared
    audit.keep.before/after            an audit about to be kept, or kept without its id being returned
    repair.before/after                a page of a repair marked, its progress about to be saved, or saved
    scrub.before/after                 the schedule about to note a pass, or noted
    states.put.before/middle/after     none, half or all of some rows of the sync view written, unacknowledged
    states.remove.before/after, states.prune.before/after
    timeline.before/after              the graph's mark about to be changed in the journal, or changed
    words.put.before/after             word rows about to be written, or written in an open transaction
    words.clear.before/after           all word rows about to be forgotten, or forgotten
    words_frontier.before/after        the frontier of the word rows about to be saved, or saved in that transaction
    words_scan.before/after            how far a scan of word rows is, likewise
    write_back.before/after            the note that the sync view is complete, about to be set or removed, or done
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.adapters.wrappers.passing import PassingIndex, PassingJournal, ReadingSyncView
from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead
from slipstream.domain.digests import Digest
from slipstream.domain.entities import Adjacency, GraphSnapshot, Hop, KeyedType
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import ModelSpec
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Deletion, KeyStamps, Stamp, VectorRecord
from slipstream.domain.words import WordDeletion, WordRow, WordStamp
from slipstream.ports.audits import AuditStore, Seal
from slipstream.ports.embedder import Embedder
from slipstream.ports.graph import GraphCapabilities, GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.sync_view import SyncState, SyncView
from slipstream.ports.words import MendsItself, WordIndex

FailpointHook = Callable[[str], None]


def kill_at(failpoint: str, count: int = 1) -> FailpointHook:
    """Return a hook that kills this process with SIGKILL when the failpoint is reached for the `count`-th time."""
    hits: Counter[str] = Counter()
    lock = threading.Lock()

    def hook(name: str) -> None:
        with lock:
            hits[name] += 1
            if name == failpoint and hits[name] == count:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


class FaultyGraph:
    """A `Graph` with failpoints around `read`; writers keep using the graph below."""

    def __init__(self, inner: GraphReader, hook: FailpointHook) -> None:
        self._inner, self._hook = inner, hook

    @property
    def capabilities(self) -> GraphCapabilities:
        """As of the graph below."""
        return self._inner.capabilities

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read through `graph.read.before` and `graph.read.after`."""
        self._hook("graph.read.before")
        snapshot = self._inner.read(keys, hops)
        self._hook("graph.read.after")
        return snapshot

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Scan through `graph.scan.before`."""
        self._hook("graph.scan.before")
        return self._inner.scan(after, limit, relationship_types)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Look up through `graph.adjacent.before`."""
        self._hook("graph.adjacent.before")
        return self._inner.adjacent(entity_ids, hop_types, after, limit)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Look up through `graph.adjacent.before`."""
        self._hook("graph.adjacent.before")
        return self._inner.nearby(entity_ids, limit)

    def schema(self) -> GraphSchema:
        """As of the graph below."""
        return self._inner.schema()

    def schema_at(self, version: int) -> GraphSchema | None:
        """As of the graph below."""
        return self._inner.schema_at(version)

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """As of the graph below."""
        return self._inner.counts(relationship_types)

    def close(self) -> None:
        """Close the graph below."""
        self._inner.close()


class FaultyIndex(PassingIndex):
    """A `VectorIndex` with failpoints around every write and before the reads."""

    def __init__(self, inner: VectorIndex, hook: FailpointHook) -> None:
        super().__init__(inner)
        self._hook = hook

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write in two halves, with failpoints before, between and after."""
        self._hook("index.upsert.before")
        half = (len(records) + 1) // 2
        fenced = list(self._inner.upsert(records[:half]))
        self._hook("index.upsert.middle")
        if records[half:]:
            fenced.extend(self._inner.upsert(records[half:]))
        self._hook("index.upsert.after")
        return fenced

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete through `index.delete.before` and `.after`."""
        self._hook("index.delete.before")
        fenced = self._inner.delete(deletions)
        self._hook("index.delete.after")
        return fenced

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Restamp through `index.restamp.before` and `.after`."""
        self._hook("index.restamp.before")
        self._inner.restamp(stamps)
        self._hook("index.restamp.after")

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Look up through `index.stamps.before`."""
        self._hook("index.stamps.before")
        return self._inner.stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Scan through `index.scan.before`."""
        self._hook("index.scan.before")
        return self._inner.scan(after, limit)

    def vacuum(self, through: Position) -> int:
        """Vacuum through `index.vacuum.before` and `.after`."""
        self._hook("index.vacuum.before")
        forgotten = self._inner.vacuum(through)
        self._hook("index.vacuum.after")
        return forgotten


class FaultyJournal(PassingJournal):
    """A `Journal` with failpoints around the checkpoint and the commit of its outermost transaction."""

    def __init__(self, inner: Journal, hook: FailpointHook) -> None:
        super().__init__(inner)
        self._hook = hook

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit through `journal.commit.before` and `.after`."""
        with self._inner.transaction():
            yield
            self._hook("journal.commit.before")
        self._hook("journal.commit.after")

    def set(self, name: str, value: str | None) -> None:
        """Save through `<name>.before` and `.after`; of a name with a colon only the part before it is used."""
        kind = name.partition(":")[0]
        self._hook(f"{kind}.before")
        self._inner.set(name, value)
        self._hook(f"{kind}.after")


class FaultyAudits:
    """An `AuditStore` with failpoints around every write."""

    def __init__(self, inner: AuditStore, hook: FailpointHook) -> None:
        self._inner, self._hook = inner, hook

    def heads(self) -> Sequence[LeafHead]:
        """As of the store below."""
        return self._inner.heads()

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """As of the store below."""
        return self._inner.leaves(afters)

    def holding(self, keys: Sequence[str]) -> Sequence[Leaf]:
        """As of the store below."""
        return self._inner.holding(keys)

    def total(self) -> Mapping[str, Digest]:
        """As of the store below."""
        return self._inner.total()

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Store through `leaves.put.before` and `.after`."""
        self._hook("leaves.put.before")
        self._inner.put_leaves(leaves, remove=remove)
        self._hook("leaves.put.after")

    def clear_leaves(self) -> None:
        """Forget through `leaves.clear.before` and `.after`."""
        self._hook("leaves.clear.before")
        self._inner.clear_leaves()
        self._hook("leaves.clear.after")

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Keep through `audit.keep.before` and `.after`."""
        self._hook("audit.keep.before")
        number = self._inner.keep(report, findings, seal)
        self._hook("audit.keep.after")
        return number

    def forget(self, ids: Collection[int]) -> None:
        """Forget through `audit.forget.before` and `.after`."""
        self._hook("audit.forget.before")
        self._inner.forget(ids)
        self._hook("audit.forget.after")

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """As of the log below."""
        return self._inner.audits(before, limit)

    def audit(self, audit_id: int) -> KeptAudit | None:
        """As of the log below."""
        return self._inner.audit(audit_id)

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """As of the log below."""
        return self._inner.findings(audit_id, after, limit, kind)


class FaultySyncView(ReadingSyncView):
    """`SyncView` with failpoints around every write."""

    def __init__(self, inner: SyncView, hook: FailpointHook) -> None:
        super().__init__(inner)
        self._hook = hook

    def put(self, states: Iterable[SyncState]) -> None:
        """Write in two halves, with failpoints before, between and after; an empty call passes none."""
        rows = list(states)
        if not rows:
            return
        half = (len(rows) + 1) // 2
        self._hook("states.put.before")
        self._inner.put(rows[:half])
        self._hook("states.put.middle")
        self._inner.put(rows[half:])
        self._hook("states.put.after")

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Remove through `states.remove.before` and `.after`; an empty call passes none."""
        ids = list(entity_ids)
        if not ids:
            return
        self._hook("states.remove.before")
        self._inner.remove(ids)
        self._hook("states.remove.after")

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """Mark through `states.mark_verified.before`."""
        self._hook("states.mark_verified.before")
        return self._inner.mark_verified(at, except_ids, limit)

    def prune(self, limit: int) -> int:
        """Prune through `states.prune.before` and `.after`."""
        self._hook("states.prune.before")
        pruned = self._inner.prune(limit)
        self._hook("states.prune.after")
        return pruned


class FaultyWords:
    """A `WordIndex` with failpoints around every write and before the reads of rows."""

    def __init__(self, inner: WordIndex, hook: FailpointHook) -> None:
        self._inner, self._hook = inner, hook
        self.named, self.match, self.frequencies = inner.named, inner.match, inner.frequencies
        self.alike_names, self.alike_words, self.excerpts = inner.alike_names, inner.alike_words, inner.excerpts
        self.rows, self.count = inner.rows, inner.count
        if isinstance(inner, MendsItself):
            self.tell_when_emptied = inner.tell_when_emptied

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write through `words.put.before`, and `.after` before the transaction that it joins has ended."""
        self._hook("words.put.before")
        fenced = self._inner.put(rows, deletions)
        self._hook("words.put.after")
        return fenced

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        """Look up through `words.stamps.before`."""
        self._hook("words.stamps.before")
        return self._inner.stamps(keys)

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Scan through `words.scan.before`."""
        self._hook("words.scan.before")
        return self._inner.scan(after, limit)

    def clear(self) -> None:
        """Forget through `words.clear.before` and `.after`."""
        self._hook("words.clear.before")
        self._inner.clear()
        self._hook("words.clear.after")


class FaultyEmbedder:
    """An `Embedder` with failpoints before and after."""

    def __init__(self, inner: Embedder, hook: FailpointHook) -> None:
        self._inner, self._hook = inner, hook

    @property
    def spec(self) -> ModelSpec:
        """As of the model below."""
        return self._inner.spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed through `embed.before` and `embed.after`."""
        self._hook("embed.before")
        vectors = self._inner.embed(texts)
        self._hook("embed.after")
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """As of the model below."""
        return self._inner.count_tokens(texts)

    def close(self) -> None:
        """Close the model below."""
        self._inner.close()
