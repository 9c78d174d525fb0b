"""Word rows of the simulated PKG: in the journal's file, so they join its transactions, under its epoch."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from slipstream.apply.words import WordWriter
from slipstream.domain.keys import RecordKey
from slipstream.domain.words import WordDeletion, WordRow, WordStamp
from slipstream.engine.loop import SyncEngine
from slipstream.engine.word_facts import WordSettings
from slipstream.engine.words import WordFollower
from slipstream.ports.words import WordIndex
from tests.simulation.threads.recipes import word_views

if TYPE_CHECKING:
    from tests.simulation.threads.store import Handle

Rows = dict[RecordKey, WordRow]


class WordsHandle:
    """`WordRows` of one process; nothing is searched by words here."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def put(self, rows: Sequence[WordRow], deletions: Sequence[WordDeletion] = ()) -> Sequence[RecordKey]:
        """Write and remove rows, but none that is newer."""
        fenced: list[RecordKey] = []
        with self._handle.transaction() as mine:
            self._handle.faults.point("words.put")
            items: list[WordRow | WordDeletion] = [*deletions, *rows]
            for item in items:
                held = mine.words.get(item.key)
                if held is not None and held.position > item.position:
                    fenced.append(item.key)
                elif isinstance(item, WordRow):
                    mine.words[item.key] = item
                else:
                    mine.words.pop(item.key, None)
        return fenced

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordStamp]:
        """Return what is held of the keys."""
        held = self._held("words.stamps")
        return {key: _stamp(held[key]) for key in keys if key in held}

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[WordStamp]:
        """Return stamps in the order of the keys."""
        held = self._held("words.scan")
        keys = sorted(key.encode() for key in held)
        behind = [key for key in keys if after is None or key > after.encode()]
        return [_stamp(held[RecordKey.decode(key)]) for key in behind[:limit]]

    def count(self) -> int:
        """Count rows."""
        return len(self._held("words.count"))

    def _held(self, what: str) -> Rows:
        self._handle.faults.point(what)
        mine = self._handle.mine
        return mine.words if mine else self._handle.durable.words


def _stamp(row: WordRow) -> WordStamp:
    return WordStamp(row.key, row.entity_type, row.position, row.digest)


def follower_of(
    kind: type[WordFollower],
    handle: Handle,
    graph: Any,
    feed: Any,
    journal: Any,
    engine: SyncEngine,
    clock: Any,
    rng: random.Random,
) -> WordFollower:
    """Return what keeps word rows in a process, as the composition root makes it."""
    words, limits = cast("WordIndex", WordsHandle(handle)), engine.settings
    return kind(
        graph=graph,
        log=feed,
        writer=WordWriter(graph, words, journal, word_views(), shares_journal=True),
        journal=journal,
        clock=clock,
        changed=engine.changed,
        settings=WordSettings(
            log_page=limits.log_page,
            scan_page=limits.log_page,
            save_every_s=limits.checkpoint_interval_s,
            idle_wait_s=limits.idle_wait_s,
            backoff_base_s=limits.backoff_base_s,
            backoff_max_s=limits.backoff_max_s,
        ),
        rng=rng,
    )
