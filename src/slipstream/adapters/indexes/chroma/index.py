"""
The index itself: fences by reading, comparing and writing under one lock.

Records and tombstones are in different collections, so no write is atomic across both. The order of writes and
`_settle` make up for it. When a call returns successfully, no key has both a tombstone and a record. If a kill or an
outage cuts a call short, the next call (of this index, or of the next one that opens the store) settles first, by one
rule: a record older than its key's tombstone is deleted; a tombstone beside a record that is not older is removed.
The points at which a call can be cut short:

- delete, before its tombstone: nothing happened. After it: settling finishes the deletion. The tombstone is written
  before the first record goes, so a late upsert always finds one of them. If both have equal positions, the record
  stays: the deletion was not acknowledged, and an acknowledged upsert that revived the key looks the same.
- upsert, before its record: nothing happened. After it, with an older tombstone still there: settling removes the
  tombstone. A key is never without its fence, and a tombstone never hides an accepted record.
- a batch is cut between two portions: each key is in one of the states above.

In an embedded directory nobody else can write: its lock is held from opening to closing, even by a stopped process.
So what `stamps` has read of a key is still true when that key is written next, and is not read again. Anything else
that may have written (a failed call, settling, a self-check that mends) clears that memory. A server can have other
writers, whose lease was lost: there, each write reads first.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from slipstream.adapters.indexes.chroma.codec import (
    Metadata,
    is_key,
    metadata_stamp,
    replacing,
    stamp_metadata,
    still_due,
    stored_fields,
    stored_position,
)
from slipstream.adapters.indexes.chroma.collections import Collections
from slipstream.adapters.indexes.chroma.embedded import leave, open_embedded, was_changed
from slipstream.adapters.indexes.chroma.erasing import ChromaErasing, Marks
from slipstream.adapters.indexes.chroma.errors import mapped_errors
from slipstream.adapters.indexes.chroma.known import Held, Known
from slipstream.adapters.indexes.chroma.listing import Entry, Listing
from slipstream.adapters.indexes.chroma.searching import nearest
from slipstream.adapters.indexes.chroma.selfcheck import ChromaSelfCheck
from slipstream.adapters.indexes.chroma.server import open_server
from slipstream.domain.errors import SlipstreamError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import (
    Deletion,
    KeyStamps,
    SearchFilter,
    Stamp,
    Vector,
    VectorHit,
    VectorRecord,
    checked_query,
    checked_vector,
)
from slipstream.ports.index import IndexCapabilities
from slipstream.ports.selfcheck import SelfCheck

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class ChromaIndex:
    """A `VectorIndex` in Chroma, made by `embedded` or `server`. Safe for threads; the only writer of its store."""

    def __init__(self, place: str, connect: Callable[[ExitStack], Any], directory: Path | None = None) -> None:
        self._place, self._connect = place, connect
        self.selfcheck: SelfCheck | None = None if directory is None else ChromaSelfCheck(directory, self._offline)
        self._lock = threading.RLock()
        self._listing: Listing | None = None
        self._known, self._marks = Known(), Marks()
        self.erasing = None if directory is None else ChromaErasing(directory, self, self._offline)
        self._settled = False
        self._is_doubtful = False
        """Whether a call into an embedded Chroma has failed, so that its client can no longer be trusted."""
        self._closed = False
        self._directory = directory
        self.was_changed = directory is not None and was_changed(directory)
        """Whether another program has changed the directory since an index last closed it."""
        self._begin()

    def _begin(self) -> None:
        with ExitStack() as stack, mapped_errors(self._place):
            self._client = self._connect(stack)
            self._collections = Collections(self._client)
            self._settle()
            self._resources = stack.pop_all()
        self._is_doubtful = False

    def _renew(self) -> None:
        """
        Connect anew after a failed call.

        A client of Chroma 1.5.9 that had failed once was seen to hang with the interpreter's lock held, and to accept
        writes that were gone later. A new client does neither.
        """
        try:
            self._resources.close()
        except Exception as error:  # noqa: BLE001  (a client that is given up may refuse that too)
            logger.warning("%s: a client that had failed did not close: %r", self._place, error)
        self._begin()

    @contextmanager
    def _offline(self) -> Iterator[None]:
        """Close the client while the block runs: calls wait, and go on with a new client."""
        with self._lock:
            if self._closed:
                raise UnavailableError(f"the index ({self._place}) is closed; open it anew")
            self._is_doubtful = True  # until a new client is there, whatever fails meanwhile
            self._resources.close()
            try:
                yield
            finally:
                self._begin()

    @classmethod
    def embedded(cls, path: Path) -> Self:
        """Open a directory, made when it is not there; raises `UnavailableError` when it is in use."""
        return cls(f"Chroma in {path}", lambda stack: open_embedded(path, stack), path)

    @classmethod
    def server(
        cls,
        host: str,
        port: int,
        *,
        token: str | None = None,
        database: str = "default_database",
        timeout_s: float = 60.0,
    ) -> Self:
        """Connect to a database of a server; raises `UnavailableError` when it does not answer."""
        return cls(
            f"Chroma at {host}:{port}",
            lambda stack: open_server(
                host, port, token=token, database=database, timeout_s=timeout_s, resources=stack
            ),
        )

    @property
    def capabilities(self) -> IndexCapabilities:
        """Approximate search, one writer, no transaction shared with a journal."""
        return IndexCapabilities(system="chroma")

    @contextmanager
    def _open(self, *, writing: bool = False) -> Iterator[Collections]:
        """Hold the lock over a settled store; a write that fails leaves it unsettled."""
        with self._lock:
            if self._closed:
                raise UnavailableError(f"the index ({self._place}) is closed; open it anew")
            with mapped_errors(self._place):
                try:
                    if self._is_doubtful:
                        self._renew()
                    if not self._settled:
                        self._collections.refresh()
                        self._settle()
                    self._settled = not writing
                    yield self._collections
                    self._settled = True
                except Exception as error:
                    self._known.forget()
                    self._listing = None
                    self._settled = False
                    if self._directory is not None and not isinstance(error, SlipstreamError):
                        self._is_doubtful = True
                    raise

    def _settle(self) -> None:
        """Complete or undo what a call that was cut short has left (see the module's docstring)."""
        tombstones = self._collections.all_tombstones()
        self._marks.learn(tombstones)
        revived: set[str] = set()
        for space in self._collections.spaces if tombstones else ():
            stored = self._collections.metadata(space, list(tombstones))
            older = [key for key, found in stored.items() if stored_position(found) < tombstones[key]]
            self._collections.remove(space, older)
            revived.update(stored.keys() - set(older))
        self._collections.unbury(sorted(revived))
        self._known.forget()
        self._listing = None
        self._settled = True

    # ------------------------------------------------------------------ writes

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write records, checking all of them first; returns the fenced keys."""
        checked = [(r.stamp, checked_vector(r.vector, r.stamp.space.dimension)) for r in records]
        prepared = [(stamp, vector, stamp_metadata(stamp)) for stamp, vector in checked]
        with self._open(writing=True) as collections:
            held = self._held(collections, [stamp.key.encode() for stamp, _, _ in prepared])
            fenced: list[RecordKey] = []
            erased = {key: mark for key in held if (mark := self._marks.of(key)) is not None}
            accepted: dict[Space, dict[str, tuple[Vector, Metadata]]] = defaultdict(dict)
            for stamp, vector, metadata in prepared:
                key = stamp.key.encode()
                stored, tombstone = held[key].records.get(stamp.space), held[key].tombstone
                if stamp.position < max(stored_position(stored), tombstone or ORIGIN, _at(erased.get(key))):
                    fenced.append(stamp.key)
                else:
                    accepted[stamp.space][key] = (vector, replacing(metadata, stored))
            for space, batch in accepted.items():
                collections.write(space, batch)
                self._listed((key, space) for key in batch)
            revived = {key for batch in accepted.values() for key in batch if held[key].tombstone is not None}
            marks = [erased[key][0] for batch in accepted.values() for key in batch if key in erased]
            collections.unbury(sorted({*revived, *marks}))
            self._marks.forget(marks)
            return fenced

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Remove keys, in the order given: tombstones first, then records; returns the fenced keys."""
        with self._open(writing=True) as collections:
            keys = [deletion.key.encode() for deletion in deletions]
            found = self._held(collections, keys)
            held = {
                key: {space: stored_position(metadata) for space, metadata in records.items()}
                for key, (records, _) in found.items()
            }
            tombstones = {key: one.tombstone for key, one in found.items() if one.tombstone is not None}
            before = dict(tombstones)
            removed: dict[Space, list[str]] = defaultdict(list)
            fenced: list[RecordKey] = []
            for deletion, key in zip(deletions, keys, strict=True):
                aimed = [space for space in held[key] if deletion.space in (None, space)]
                gone = [space for space in aimed if held[key][space] <= deletion.position]
                for space in gone:
                    del held[key][space]
                    removed[space].append(key)
                if len(gone) < len(aimed):
                    fenced.append(deletion.key)
                elif deletion.space is None:
                    tombstones[key] = max(deletion.position, tombstones.get(key, deletion.position))
            collections.bury({key: at for key, at in tombstones.items() if before.get(key) != at})
            for space, ids in removed.items():
                collections.remove(space, ids)
                self._unlisted((key, space) for key in ids)
            return list(dict.fromkeys(fenced))

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Replace stamps where the same vector is stored at a position that is not newer."""
        prepared = [(stamp, stamp_metadata(stamp)) for stamp in stamps]
        with self._open(writing=True) as collections:
            held = self._held(collections, [stamp.key.encode() for stamp in stamps])
            changed: dict[Space, dict[str, Metadata]] = defaultdict(dict)
            for stamp, metadata in prepared:
                key = stamp.key.encode()
                stored = held[key].records.get(stamp.space)
                if stored is None or stored_position(stored) > stamp.position:
                    continue
                fields = stored_fields(stored)
                if (fields.get("fingerprint"), fields.get("checksum")) == (stamp.fingerprint, stamp.checksum):
                    due = still_due(stamp, fields)
                    changed[stamp.space][key] = replacing(metadata if due is stamp else stamp_metadata(due), stored)
            for space, batch in changed.items():
                collections.update(space, batch)

    # ------------------------------------------------------------------ what an erasure needs

    def tombstones_by_key(self) -> Mapping[str, Position]:
        """Return all tombstones."""
        with self._open() as collections:
            return collections.all_tombstones()

    def bury_by_marks(self, marks: Mapping[str, tuple[str, Position]]) -> None:
        """Replace tombstones, by key, by others of the same position."""
        with self._open(writing=True) as collections:
            collections.bury(dict(marks.values()))
            collections.unbury(list(marks))
            # Once more: the newest entry of the log must stay when those of the keys go, or its number is used again.
            collections.bury(dict(marks.values()))
            self._settle()

    def discard(self, keys: Sequence[str]) -> int:
        """Remove records that are still there; return how many."""
        count = 0
        with self._open(writing=True) as collections:
            for space in collections.spaces:
                found = list(collections.metadata(space, keys))
                collections.remove(space, found)
                count += len(found)
            self._settle()
        return count

    def vacuum(self, through: Position) -> int:
        """Forget tombstones up to and including the position, and empty collections; returns how many tombstones."""
        with self._open(writing=True) as collections:
            self._known.forget()
            gone = list(collections.all_tombstones(through))
            collections.unbury(gone)
            collections.drop_empty()
            return len(gone)

    def set_seal(self, seal: str) -> None:
        """Replace the seal."""
        with self._open(writing=True) as collections:
            collections.set_seal(seal)

    def _held(self, collections: Collections, keys: Sequence[str]) -> dict[str, Held]:
        """Return what is stored of keys to write: from memory, or read anew where others may have written."""
        held = self._known.take(keys)
        if unknown := [key for key in keys if key not in held]:
            held |= _read(collections, unknown)
        return held

    def _listed(self, entries: Iterator[Entry]) -> None:
        if self._listing is not None:
            for entry in entries:
                self._listing.add(entry)

    def _unlisted(self, entries: Iterator[Entry]) -> None:
        if self._listing is not None:
            for entry in entries:
                self._listing.discard(entry)

    # ------------------------------------------------------------------ reads

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what is held of the keys, the records of each ordered by space."""
        ids = [key.encode() for key in keys]
        with self._open() as collections:
            held = _read(collections, ids)
            if self._directory is not None:  # its lock keeps other writers out; nothing does so for a server
                self._known.note(held)
        return {
            key: KeyStamps(tuple(metadata_stamp(identity, *record) for record in records.items()), tombstone)
            for key, identity in zip(keys, ids, strict=True)
            for records, tombstone in [held[identity]]
            if records or tombstone is not None
        }

    def buried(self, past: Position, after: RecordKey | None, limit: int) -> Sequence[RecordKey]:
        """Return keys whose tombstone is newer than a position, in key order."""
        with self._open() as collections:
            keys = sorted(key for key in collections.all_tombstones(past=past) if is_key(key))
        bound = "" if after is None else after.encode()
        return [RecordKey.decode(key) for key in keys if key > bound][: max(limit, 0)]

    def record_count(self) -> int:
        """Return how many records there are in all spaces, as Chroma counts them."""
        with self._open() as collections:
            return collections.record_count()

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        """Return stamps in the order of (key, space), the last key whole; a scan from the start lists all anew."""
        with self._open() as collections:
            if after is None or self._listing is None:
                collections.refresh()  # another client may have made collections
                self._known.forget()
                self._listing = Listing(
                    (key, space) for space in collections.spaces for key in collections.keys(space)
                )
            entries = self._listing.page(None if after is None else after.encode(), limit)
            if not entries:
                self._listing = None  # the scan is over
            found = {
                space: collections.metadata(space, [key for key, _ in batch])
                for space, batch in _by_space(entries, lambda entry: entry[1]).items()
            }
        return [metadata_stamp(key, space, found[space][key]) for key, space in entries if key in found[space]]

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        """Return the stored vectors."""
        with self._open() as collections:
            found = collections.vectors(space, [key.encode() for key in keys])
        return {RecordKey.decode(identity): vector for identity, vector in found.items()}

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        """Return the nearest records by Chroma's HNSW graph; if that gives too few hits, compare with every match."""
        query = checked_query(vector, space.dimension)
        with self._open() as collections:
            handle = collections.get(space)
            if handle is None or k <= 0 or where.entity_types == frozenset():
                return []
            return nearest(handle, space, query, k, where)

    def seal(self) -> str | None:
        """Return the seal that was set last."""
        with self._open() as collections:
            return collections.seal()

    def close(self) -> None:
        """Release client and directory; closing twice is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._resources.close()
                if self._directory is not None:
                    leave(self._directory)


def _read(collections: Collections, keys: Sequence[str]) -> dict[str, Held]:
    found = [(space, collections.metadata(space, keys)) for space in collections.spaces]
    tombstones = collections.tombstones(keys)
    return {key: Held({s: of[key] for s, of in found if key in of}, tombstones.get(key)) for key in keys}


def _at(mark: tuple[str, Position] | None) -> Position:
    return ORIGIN if mark is None else mark[1]


def _by_space(items: Sequence[_T], space_of: Callable[[_T], Space]) -> dict[Space, list[_T]]:
    grouped: dict[Space, list[_T]] = defaultdict(list)
    for item in items:
        grouped[space_of(item)].append(item)
    return grouped
