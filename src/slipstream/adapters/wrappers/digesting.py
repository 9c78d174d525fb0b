"""
Digests kept beside an index whose own store keeps none, without transactions across both.

Before a write, its keys are durably noted as in doubt; then the index writes. So wherever the process dies, every key
for which the kept terms differ from the index is in doubt, and is read anew by the next request for digests. A
foreign write into the store shows by the number of records; other foreign writes are found by full audits, which hand
over what they read.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby

from slipstream.adapters.wrappers.fenced import SealedVectorIndex
from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.damage import Damage
from slipstream.domain.digests import KeptTerm, KeyRange, RangeDigest, damaged_vectors
from slipstream.domain.held import held_page
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.ports.digests import TermStore
from slipstream.ports.erasing import Erasing
from slipstream.ports.scans import PAGE, vectors_of
from slipstream.ports.selfcheck import SelfCheck

logger = logging.getLogger(__name__)

_EVERYTHING = KeyRange()
_ALL = 1 << 62
_ROUNDS_MAX = 3
"""How often keys that are written while being read are read again; then their old terms stay."""


class DigestingIndex(PassingIndex):
    """A `VectorIndex` with `KeptDigests`. Safe for threads; every write must come through it."""

    def __init__(self, inner: SealedVectorIndex, terms: TermStore) -> None:
        super().__init__(inner)
        self._sealed, self._terms = inner, terms
        self._lock = threading.Lock()
        self._writing: Counter[str] = Counter()
        self._written: set[str] | None = None
        """Keys that were written during a read; None while there is no read."""
        self._reading = threading.Lock()

    # ------------------------------------------------------------------ writes

    @contextmanager
    def _doubting(self, keys: Sequence[RecordKey]) -> Iterator[None]:
        texts = [key.encode() for key in dict.fromkeys(keys)]
        with self._lock:
            self._writing.update(texts)
            self._note_written(texts)
        try:
            self._terms.doubt(texts)
            yield
        finally:
            with self._lock:
                self._writing.subtract(texts)
                self._writing = +self._writing
                self._note_written(texts)

    def _note_written(self, keys: Sequence[str]) -> None:
        if self._written is not None:
            self._written.update(keys)

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Note the keys as in doubt, then write."""
        with self._doubting([record.stamp.key for record in records]):
            return self._inner.upsert(records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Note the keys as in doubt, then delete."""
        with self._doubting([deletion.key for deletion in deletions]):
            return self._inner.delete(deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Note the keys as in doubt, then restamp."""
        with self._doubting([stamp.key for stamp in stamps]):
            self._inner.restamp(stamps)

    # ------------------------------------------------------------------ digests

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        """Read the keys in doubt anew, and return the digests of the kept terms."""
        with self._reading:
            self._refresh()
            if ranges and not ranges[0].after and ranges[-1].through is None:
                self._count()
            return self._terms.digests(ranges)

    def missed(self, bounds: KeyRange, read: Sequence[KeptTerm]) -> Sequence[RecordKey]:
        """Return the keys whose kept terms differ from what was read, after reading these keys once more."""
        found = _by_key(read)
        with self._reading:
            kept = _by_key(self._terms.terms(bounds))
            differing = [key for key in sorted(found.keys() | kept.keys()) if found.get(key) != kept.get(key)]
            if not differing or not self._terms.known():
                return []
            doubted = set(self._terms.doubted(bounds, _ALL))
            sure = [key for key in differing if key not in doubted]
            written = self._keep(lambda: (sure, self._read(sure)))
            now = _by_key(self._terms.terms(bounds))
        return [RecordKey.decode(key) for key in sure if key not in written and now.get(key) != kept.get(key)]

    def _keep(self, read: Callable[[], tuple[Sequence[str], Sequence[KeptTerm]]]) -> set[str]:
        """Read terms of keys and keep them, except those of keys that are written meanwhile, which are returned."""
        with self._lock:
            self._written = written = set(self._writing)
        try:
            keys, terms = read()
            with self._lock:  # so that no write begins before its keys are settled
                steady = [key for key in keys if key not in written]
                self._terms.settle(steady, [term for term in terms if term.key not in written])
        finally:
            with self._lock:
                self._written = None
        return written

    def _refresh(self) -> None:
        after = ""
        while keys := self._terms.doubted(KeyRange(after), PAGE):
            after = keys[-1]
            left: Sequence[str] = keys
            for _ in range(_ROUNDS_MAX):
                written = self._keep(partial(self._looked_up, left))
                left = [key for key in left if key in written]
                if not left:
                    break

    def _looked_up(self, keys: Sequence[str]) -> tuple[Sequence[str], Sequence[KeptTerm]]:
        return keys, self._read(keys)

    def _read(self, keys: Sequence[str]) -> list[KeptTerm]:
        held = self._inner.stamps([RecordKey.decode(key) for key in keys])
        return self._terms_of([stamp for known in held.values() for stamp in known.records])

    def _terms_of(self, stamps: Sequence[Stamp]) -> list[KeptTerm]:
        return held_page(stamps, damaged_vectors(stamps, vectors_of(self._inner, stamps))).terms()

    def _count(self) -> None:
        """Read everything anew when the number of records differs from the known one."""
        with self._lock:
            is_written = bool(self._writing)
        counted, known = self._sealed.record_count(), self._terms.known()
        if counted == known or is_written or self._terms.doubted(_EVERYTHING, 1):
            return
        if known:
            logger.warning(
                "the index holds %d records where %d are known of: somebody else has written to it, and all of them "
                "are digested anew",
                counted,
                known,
            )
        self._terms.forget()
        after: RecordKey | None = None
        while after is not None or counted:
            page: list[Stamp] = []
            self._keep(partial(self._scanned, after, page))
            if not page:
                break
            after = page[-1].key
        self._refresh()

    def _scanned(self, after: RecordKey | None, page: list[Stamp]) -> tuple[Sequence[str], Sequence[KeptTerm]]:
        page.extend(self._inner.scan(after, PAGE))
        return list(dict.fromkeys(stamp.key.encode() for stamp in page)), self._terms_of(page)

    # ------------------------------------------------------------------ as of the index below

    @property
    def erasing(self) -> Erasing | None:
        """What erases from the index below, None when that can not."""
        found = getattr(self._inner, "erasing", None)
        return found if isinstance(found, Erasing) else None

    @property
    def selfcheck(self) -> SelfCheck | None:
        """The self-check of the index below, None when it has none; after it mends, everything is digested anew."""
        found = getattr(self._inner, "selfcheck", None)
        return _Mending(found, self._terms) if isinstance(found, SelfCheck) else None

    def seal(self) -> str | None:
        """As of the index below."""
        return self._sealed.seal()

    def set_seal(self, seal: str) -> None:
        """As of the index below."""
        self._sealed.set_seal(seal)

    def record_count(self) -> int:
        """As of the index below."""
        return self._sealed.record_count()


def _by_key(terms: Iterable[KeptTerm]) -> dict[str, list[KeptTerm]]:
    return {key: sorted(found) for key, found in groupby(terms, lambda term: term.key)}


class _Mending:
    """A `SelfCheck` that may change records past the index, so that the kept terms are forgotten."""

    def __init__(self, inner: SelfCheck, terms: TermStore) -> None:
        self._inner, self._terms = inner, terms

    @property
    def store(self) -> str:
        return self._inner.store

    def check(self, *, deep: bool, head: Callable[[], Position]) -> Sequence[Damage]:
        return self._inner.check(deep=deep, head=head)

    def mend(self, damage: Damage, *, head: Callable[[], Position]) -> bool:
        try:
            return self._inner.mend(damage, head=head)
        finally:
            self._terms.forget()
