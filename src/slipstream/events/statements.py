"""
What a source has said: each record that it stated, so that what it no longer says can be deleted.

A source is a space of fences, its run their order (`ports.fences`): so what it says commits with what it changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from slipstream.domain.brake import BrakeSettings
from slipstream.domain.entities import Properties
from slipstream.domain.errors import InvalidInputError, ReplacementNeedsConfirmationError
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.texts import on_one_line
from slipstream.ports.graph import GraphTransaction, GraphWriter

SPACE = "source:"
NAME_SIZE_MAX = 200
_DELETED_AT_A_TIME, _READ_AT_A_TIME = 500, 5_000
_DIGITS = 12
_DESCRIBED, _NAMED_ONLY = "", "named only"
"""
What a source says of a record, in the `event_id` of its fence: all of it; or, of one that it described before, that
something leads to it. Else it is a digest of what the source made because something leads there.
"""
_DESCRIPTIONS = (_DESCRIBED, _NAMED_ONLY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """That a source is imported as a whole: what it said before, and no longer says, is deleted."""

    source: str
    confirm: str | None = None
    """The plan of a deletion that the brake has held up before."""
    brake: BrakeSettings = field(default_factory=BrakeSettings)

    def __post_init__(self) -> None:
        if not 0 < len(self.source) <= NAME_SIZE_MAX or on_one_line(self.source) != self.source:
            raise InvalidInputError(f"a source's name has 1 to {NAME_SIZE_MAX} printable characters", field="source")

    def unbraked(self) -> Replacing:
        """Return the same without a brake: for a copy, whatever is deleted of that."""
        return replace(self, brake=BrakeSettings(share=1.0))


@dataclass(frozen=True, slots=True)
class Survey:
    """How many records a source states; of these, how many it no longer says, and how many it only names now."""

    stated: int
    gone: int
    named_only: int
    digest: str
    """Of which these are."""


class Statements:
    """What one run of a source says. One that is continued has the number that it began with."""

    def __init__(self, pkg: GraphWriter, replacing: Replacing, run: int | None = None) -> None:
        self._pkg, self._replacing, self._space = pkg, replacing, f"{SPACE}{replacing.source}"
        self.run = self._begun() if run is None else run
        self._order = _order(self.run)
        self._fences: dict[RowName, Fence] = {}

    def _begun(self) -> int:
        with self._pkg.transaction() as tx:
            run = _last_run(tx, self._space) + 1
            tx.put_fences({RowName("", self._space): Fence(order=_order(run))})
        return run

    def note(self, key: RecordKey) -> None:
        """Note that the source states a record; `write` keeps it."""
        name = key.encode()
        self._fences[RowName(self._space, name)] = Fence(key=name, order=self._order, event_id=_DESCRIBED)

    def note_named(self, tx: GraphTransaction, key: RecordKey, *, is_made: bool) -> None:
        """
        Note that the source names an entity as the end of something, if it made it, or some source states it.

        One that another source states too stays until both have stopped: what leads to it is this source's. One that
        was only ever named goes only as it was made (`is_made`: just now): who has filled it since keeps it.
        """
        name = key.encode()
        row = RowName(self._space, name)
        before = self._fences.get(row) or tx.fences([row]).get(row)
        if before is not None and not before.is_deleted and not is_made:
            was_described = before.event_id == _DESCRIBED and before.order != self._order
            self._fences[row] = replace(
                before, order=self._order, event_id=_NAMED_ONLY if was_described else before.event_id
            )
        elif is_made:
            self._fences[row] = Fence(key=name, order=self._order, event_id=_content(tx, key.id))
        elif (other := tx.rows_of([name]).get(name)) is not None:
            self._fences[row] = Fence(key=name, order=self._order, event_id=_beside(tx, other, key.id))

    def has(self, tx: GraphTransaction, key: RecordKey) -> bool:
        """Return whether the source states a record, in this run or an earlier one."""
        row = RowName(self._space, key.encode())
        fence = self._fences.get(row) or tx.fences([row]).get(row)
        return fence is not None and not fence.is_deleted

    def write(self, tx: GraphTransaction) -> None:
        """Keep what was noted, in the transaction that makes it true."""
        tx.put_fences(self._fences)
        self._fences = {}

    # ------------------------------------------------------------------ what it no longer says

    def unsure(self, rejected: int) -> str:
        """Return why nothing is deleted after a run of which rows were refused."""
        return (
            f"what {self._replacing.source} no longer states was not deleted, for {rejected:,} of its rows were "
            "refused: mend them, and import it again"
        )

    def survey(self) -> Survey:
        """Return what the source states, and what of that it has stopped saying."""
        stated = gone = named_only = 0
        digest = hashlib.blake2b(digest_size=4)
        for row, fence in self._rows(before=None):
            stated += 1
            is_gone = fence.order is not None and fence.order < self._order
            gone += is_gone
            named_only += not is_gone and fence.event_id == _NAMED_ONLY
            if is_gone or fence.event_id == _NAMED_ONLY:
                digest.update(row.name.encode("utf-8", "surrogatepass") + b"\n")
        return Survey(stated, gone, named_only, digest.hexdigest())

    def check(self, found: Survey) -> None:
        """
        Raise `ReplacementNeedsConfirmationError` when more would be deleted, or emptied, than the brake allows.

        Not when exactly that was confirmed; `InvalidInputError` when something else was.
        """
        gone, stated = found.gone + found.named_only, found.stated
        plan_id, confirm = f"{gone}-{found.digest}", self._replacing.confirm
        limit = self._replacing.brake.limit(stated)
        if confirm is not None and confirm != plan_id and gone > limit:
            raise InvalidInputError(
                f"{confirm!r} is not what would be deleted now, that is {plan_id!r}", field="confirm"
            )
        if gone > limit and confirm is None:
            source = self._replacing.source
            raise ReplacementNeedsConfirmationError(
                f"{source} no longer states {gone:,} of the {stated:,} records that it stated, and at most {limit:,} "
                f"are deleted unasked; everything else was imported. If that is right, import it again with "
                f"--confirm {plan_id}",
                plan={"id": plan_id, "source": source, "deletions": gone, "stated": stated, "limit": limit},
            )

    def _rows(self, before: str | None) -> Iterator[tuple[RowName, Fence]]:
        after: str | None = None
        while True:
            with self._pkg.transaction() as tx:
                rows = tx.live_rows(self._space, before, after, _READ_AT_A_TIME)
            yield from rows
            if len(rows) < _READ_AT_A_TIME:
                return
            after = rows[-1][0].name

    def restate(self, tx: GraphTransaction, key: RecordKey, entity_type: str, properties: Properties) -> None:
        """
        Leave an entity that the source described before, and only names now, as its naming alone would make it.

        Not when another source states it too. Any other record stays as it is.
        """
        name = key.encode()
        row = RowName(self._space, name)
        fence = tx.fences([row]).get(row)
        if fence is None or fence.is_deleted or fence.event_id != _NAMED_ONLY:
            return
        tx.put_fences({row: replace(fence, is_deleted=True)})  # so that the next call tells of others alone
        other = tx.rows_of([name]).get(name)
        if other is None:
            tx.upsert_entity(entity_type, key.id, properties)
        event_id = _content(tx, key.id) if other is None else _beside(tx, other, key.id)
        tx.put_fences({row: replace(fence, event_id=event_id)})

    def delete_gone(self) -> tuple[int, Position | None]:
        """
        Delete what the source no longer states and no other source does; return how many records, and the position.

        Each page is a transaction: after a crash, what is left is found again.
        """
        deleted, position = 0, None
        while True:
            with self._pkg.transaction() as tx:
                rows = tx.live_rows(self._space, self._order, None, _DELETED_AT_A_TIME)
                tx.put_fences({row: replace(fence, is_deleted=True) for row, fence in rows})
                deleted += sum(_delete(tx, fence) for _, fence in rows)
            if rows:
                position = tx.position
            if len(rows) < _DELETED_AT_A_TIME:
                return deleted, position


def last_run(pkg: GraphWriter, replacing: Replacing) -> int:
    """Return the number of the last run of a source that was begun."""
    with pkg.transaction() as tx:
        return _last_run(tx, f"{SPACE}{replacing.source}")


def _last_run(tx: GraphTransaction, space: str) -> int:
    own = RowName("", space)
    last = tx.fences([own]).get(own)
    return 0 if last is None or last.order is None else int(last.order)


def _order(run: int) -> str:
    return f"{run:0{_DIGITS}d}"


def _content(tx: GraphTransaction, entity_id: str) -> str:
    """Return what tells the content of an entity that is only named."""
    entity = tx.entity(entity_id)
    told = None if entity is None else (entity.type, sorted(entity.properties.items()))
    return hashlib.blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _beside(tx: GraphTransaction, other: RowName, entity_id: str) -> str:
    """Return what a source that only names an entity says of it, beside another one that states it."""
    said = tx.fences([other])[other].event_id
    return _content(tx, entity_id) if said in _DESCRIPTIONS else said


def _delete(tx: GraphTransaction, fence: Fence) -> bool:
    """Delete a record, unless another source or feed states it too, or filled it; return whether it was there."""
    key, other = RecordKey.decode(fence.key), tx.rows_of([fence.key]).get(fence.key)
    has_described = fence.event_id in _DESCRIPTIONS
    if other is not None:
        if has_described:  # what filled it is gone: who names it still may delete it as it is
            tx.put_fences({other: replace(tx.fences([other])[other], event_id=_DESCRIBED)})
        return False
    if not has_described and fence.event_id != _content(tx, key.id):
        return False
    if key.kind is KeyKind.RELATIONSHIP:
        is_there = tx.has_relationship(key.id)
        if is_there:
            tx.unrelate(key.id)
        return is_there
    if tx.entity(key.id) is None:
        return False
    tx.delete_entity(key.id)
    return True
