"""Writes changes of a foreign feed into a transaction of the graph, fenced by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

from slipstream.domain.entities import Entity
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.feed_changes import NODES, Change, Note
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.names import without_unkept
from slipstream.events.fenced_rows import FencedRows, is_behind
from slipstream.events.partitions import Partitions
from slipstream.ports.graph import GraphTransaction

Tell = Callable[[Note], None]
NOTE_SIZE_MAX = 256
_ABSENT = "its value was not sent with a new row: it stays absent until it changes, or a snapshot brings it"
_ABSENT_UNTIL = (
    "its value was not sent with a row whose key has changed: it is absent until the row's old key brings it"
)
_AGAIN = (
    "a change was passed over because an equal one was applied before: without an order or an offset nobody can tell "
    "whether it was sent again or a value has come back: have lsn added, or keep topic, partition and offset"
)


class Outcome(Enum):
    """What came of a change."""

    APPLIED = "applied"
    DUPLICATE = "duplicates"
    OUTDATED = "outdated"
    IGNORED = "ignored"


class ChangeWriter:
    """
    Writes a batch of changes into one transaction; `finish` completes it.

    `tables` are those that the user has declared: tables of their own, or partitions of others.
    """

    def __init__(
        self, tx: GraphTransaction, changes: Sequence[Change], tables: Mapping[str, str], tell: Tell
    ) -> None:
        self._tx, self._tell = tx, tell
        self._rows = FencedRows(tx, changes)
        self._partitions = Partitions(self._rows, tables)

    def finish(self) -> None:
        """Write the fences of the batch."""
        self._rows.flush()

    def write(self, change: Change) -> Outcome | InvalidInputError:
        """
        Write one change, unless its row has already come further; returns an error when its whole table is refused.

        Raises `SlipstreamError` when the change can not be applied; the transaction must then be rolled back.
        """
        event = change.event
        if event.event_type is PKGEventType.SCHEMA_EVOLVED:
            return Outcome.IGNORED  # the graph derives its schema from its own data
        if not change.space:
            if not self._tx.once(event.event_id):
                return Outcome.DUPLICATE
            self._mutate(change, None)
        else:
            row = RowName(change.space, change.name)
            fence = self._rows.get(row)
            passed = self._passed(change, fence)
            if passed is None:
                refusal = self._partitions.refusal(change, lambda key: self._tx.entity(RecordKey.decode(key).id))
                if refusal is not None:
                    return refusal  # before its id is recorded, so that it can be replayed
            if not change.order and not self._tx.once(change.event.event_id):
                return self._again(change, fence)
            if passed is not None:
                return passed
            self._rows.put(row, self._advanced(change, fence))
        for note in change.notes:
            self._tell(note)
        return Outcome.APPLIED

    # ------------------------------------------------------------------ order

    def _passed(self, change: Change, fence: Fence | None) -> Outcome | None:
        """Return the outcome of a change that must not be applied any more; None for one to apply."""
        space = self._rows.get(RowName("", change.space))
        if change.order and space is not None and space.order and change.order < space.order:
            return Outcome.OUTDATED  # the table was emptied after this change
        passed = None if fence is None else self._passed_row(change, fence)
        return passed or self._late_deletion(change, fence)

    def _passed_row(self, change: Change, fence: Fence) -> Outcome | None:
        if change.order and fence.order:
            if change.order != fence.order:
                return Outcome.OUTDATED if change.order < fence.order else None
            return self._tied(change.event, fence) if change.has_ties else Outcome.DUPLICATE
        # A tombstone of a log repeats the deletion before it.
        is_tombstone = not change.order and fence.is_deleted and change.event.event_type.is_deletion
        return Outcome.DUPLICATE if is_tombstone or is_behind(change.place, fence.place) else None

    def _late_deletion(self, change: Change, fence: Fence | None) -> Outcome | None:
        """Return OUTDATED for the deletion of a row that is not here, if its id belongs to another record by now."""
        event = change.event
        is_here = fence is not None and not fence.is_deleted
        if is_here or not event.event_type.is_deletion or not event.event_type.is_entity:
            return None
        return None if self._clash(change) is None else Outcome.OUTDATED

    def _again(self, change: Change, fence: Fence | None) -> Outcome:
        """Pass over a change that was applied before, with a note if it may instead be a value that has come back."""
        if fence and not fence.order and not change.place and fence.event_id != change.event.event_id:
            self._tell(Note(change.space, _AGAIN))
        return Outcome.DUPLICATE

    def _tied(self, event: PKGEvent, fence: Fence) -> Outcome | None:
        """Tell changes of equal order (of one millisecond) apart by their ids; DUPLICATE for one that was applied."""
        if event.event_id == fence.event_id:
            return Outcome.DUPLICATE
        self._tx.once(fence.event_id)  # the fence will not hold this id any more: keep it known
        return None if self._tx.once(event.event_id) else Outcome.DUPLICATE

    def _advanced(self, change: Change, fence: Fence | None) -> Fence:
        """Apply a change, and return the row's new fence."""
        key, unsent = self._mutate(change, fence)
        before = fence or Fence()
        return Fence(
            key=key.encode(),
            order=change.order or before.order,
            event_id=change.event.event_id,
            is_deleted=change.event.event_type.is_deletion,
            place=change.place or before.place,
            unsent=unsent,
        )

    def _mutate(self, change: Change, fence: Fence | None) -> tuple[RecordKey, frozenset[str]]:
        """Apply a change; returns the record, and the properties that the row under its old key still has to give."""
        live = None if fence is None or fence.is_deleted else RecordKey.decode(fence.key)
        if change.event.event_type.is_relationship:
            return relationship_key(self._mutate_relationship(change, live)), frozenset()
        entity_id = self._entity_id(change, live)
        if change.event.event_type.is_deletion:
            self._delete_entity(change, entity_id)
            return entity_key(entity_id), frozenset()
        return entity_key(entity_id), self._write_entity(change, entity_id, fence)

    def _properties(self, event: PKGEvent) -> dict[str, Any]:
        """Return the properties of an event without those that no graph can keep, which get a note."""
        properties, faults = without_unkept(properties_of(event))
        for name, fault in faults.items():
            self._tell(
                Note(f"{event.entity_type}.{name}"[:NOTE_SIZE_MAX], f"can not be kept and is left out: {fault}")
            )
        return dict(properties)

    # ------------------------------------------------------------------ entities

    def _entity_id(self, change: Change, live: RecordKey | None) -> str:
        """Return the id of a row's entity: the one it had, or a new one, to which the entity is then renamed."""
        event, wanted = change.event, change.event.entity_id
        if live is None:
            if change.id_by_name:
                raise _unknown_node(change.name)
            if change.space and not event.event_type.is_deletion:
                self._check_is_free(change)
            return wanted
        if wanted == live.id or change.id_by_name or event.event_type.is_deletion:
            return live.id
        if self._tx.entity(live.id) is not None:
            if (other := self._tx.entity(wanted)) is not None:
                raise _taken(wanted, f"an entity of type {other.type!r}")
            self._rows.rename(live.id, wanted)
        return wanted

    def _check_is_free(self, change: Change) -> None:
        """Raise `InvalidInputError` when an id belongs to another record: equal ids alone do not make them one."""
        clash = self._clash(change)
        if clash is not None:
            raise _taken(change.event.entity_id, clash)

    def _clash(self, change: Change) -> str | None:
        """
        Return what else has the id of a row that is not here; None when nothing has, or the row may continue that
        entity.

        It may continue an entity that no feed has brought (of its type, or for a node of any: labels change), and one
        that the same table has brought under another source's name: a feed made anew.
        """
        entity_id, space = change.event.entity_id, change.space
        there = self._tx.entity(entity_id)
        if there is None:
            return None
        is_other_type = there.type != change.event.entity_type
        owner = self._rows.other_row_of(entity_key(entity_id).encode(), RowName(space, change.name))
        if owner is None:
            is_other = is_other_type and not space.startswith(NODES)
            return f"an entity of type {there.type!r}" if is_other else None
        is_other = is_other_type or _source(owner.space) == _source(space)
        return f"row {owner.name!r} of {owner.space}" if is_other else None

    def _write_entity(self, change: Change, entity_id: str, fence: Fence | None) -> frozenset[str]:
        event, properties = change.event, self._properties(change.event)
        if change.is_whole:
            unsent = self._take_unsent(change, entity_id, properties, fence) if change.unsent else frozenset()
            self._tx.upsert_entity(event.entity_type, entity_id, properties)
            return unsent
        base = self._tx.entity(entity_id)
        if base is None:
            raise _no_base(entity_id)
        properties = {**_removed(event), **properties}
        if base.type == event.entity_type:
            self._tx.update_entity(entity_id, properties)
        else:
            self._tx.upsert_entity(event.entity_type, entity_id, {**base.properties, **properties})
        return frozenset() if fence is None else fence.unsent

    def _take_unsent(
        self, change: Change, entity_id: str, properties: dict[str, Any], fence: Fence | None
    ) -> frozenset[str]:
        """Fill in what was not sent from what is there; returns what the row's old key still has to give."""
        there, owed = self._tx.entity(entity_id), frozenset[str]()
        if there is not None:
            base: Entity | None = there
            owed = frozenset() if fence is None else fence.unsent & change.unsent
        else:
            base = self._former(change)
            if base is None and change.event.event_type is not PKGEventType.ENTITY_CREATED:
                raise _no_base(entity_id)
            owed = (
                frozenset(without_unkept(dict.fromkeys(change.unsent))[0])
                if change.old_name is not None
                else frozenset()
            )
        found = {} if base is None else base.properties
        properties.update({name: found[name] for name in change.unsent if name in found})
        if base is None:
            for name in sorted(change.unsent):
                self._tell(Note(f"{change.space}.{name}", _ABSENT_UNTIL if change.old_name is not None else _ABSENT))
        return owed

    def _former(self, change: Change) -> Entity | None:
        """Return the entity of a row before its key changed; None when that key belongs to another row by now."""
        if change.old_name is None:
            return None
        fence = self._rows.get(RowName(change.space, change.old_name))
        if fence is not None and (fence.is_deleted or _is_newer(fence, change)):
            return None
        former = self._tx.entity(self._id_under(change, change.old_name, fence))
        return former if former is not None and former.type == change.event.entity_type else None

    def _delete_entity(self, change: Change, entity_id: str) -> None:
        if change.new_name is not None:
            self._hand_over(change, entity_id, change.new_name)
        if self._tx.entity(entity_id) is not None:
            self._tx.delete_entity(entity_id)

    def _hand_over(self, change: Change, entity_id: str, new_name: str) -> None:
        """Move an entity to its row's new key, or give the values that were not sent to the entity already there."""
        row = RowName(change.space, new_name)
        fence = self._rows.get(row)
        old, new_id = self._tx.entity(entity_id), self._id_under(change, new_name, fence)
        if old is None or new_id == entity_id:
            return
        if self._tx.entity(new_id) is None:
            if fence is None or not _is_newer(fence, change):
                self._rows.rename(entity_id, new_id)
                order = None if fence is None else fence.order  # not this change's: its creation has the same
                self._rows.put(row, Fence(key=entity_key(new_id).encode(), order=order))
        elif fence is not None and fence.unsent:
            given = {name: old.properties[name] for name in fence.unsent if name in old.properties}
            self._tx.update_entity(new_id, given)
            self._rows.put(row, replace(fence, unsent=frozenset()))

    @staticmethod
    def _id_under(change: Change, name: str, fence: Fence | None) -> str:
        if fence is not None and not fence.is_deleted:
            return RecordKey.decode(fence.key).id
        return change.event.entity_id.removesuffix(change.name) + name

    # ------------------------------------------------------------------ relationships

    def _mutate_relationship(self, change: Change, live: RecordKey | None) -> str:
        event = change.event
        if event.event_type.is_deletion:
            return self._unrelate(change, live)
        ref = self._ref(change, live)
        properties = self._properties(event) if event.new_data is not None else {}
        if change.is_whole:
            source, target = ref.source_id, ref.target_id
            self._tx.relate(source, ref.type, target, properties, discriminator=ref.discriminator, replace=True)
        elif self._tx.has_relationship(ref.id):
            self._tx.update_relationship(ref.id, {**_removed(event), **properties})
        else:
            raise _no_base(ref.id)
        return ref.id

    def _unrelate(self, change: Change, live: RecordKey | None) -> str:
        try:
            ref = self._ref(change, live)
        except NotFoundError:
            if live is None:
                raise
            ref = RelationshipRef.parse(live.id)  # an end was deleted first
        if self._tx.has_relationship(ref.id):
            self._tx.unrelate(ref.id)
        return ref.id

    def _ref(self, change: Change, live: RecordKey | None) -> RelationshipRef:
        """Return a relationship's identity, with ends that its feed names otherwise replaced by their ids."""
        ref = ref_of(change.event)
        source, target = (
            end if name is None else self._end(change, name)
            for end, name in zip((ref.source_id, ref.target_id), change.end_names, strict=True)
        )
        ref = ref._replace(source_id=source, target_id=target)
        if ref.discriminator or not change.space:
            return ref
        if live is not None:
            return ref._replace(discriminator=RelationshipRef.parse(live.id).discriminator)
        return self._told_apart(change, ref)

    def _end(self, change: Change, name: str) -> str:
        fence = self._rows.get(RowName(change.space, name))
        if fence is None or fence.is_deleted:
            raise _unknown_node(name)
        return RecordKey.decode(fence.key).id

    def _told_apart(self, change: Change, ref: RelationshipRef) -> RelationshipRef:
        """Return the identity of a relationship without a key; a parallel one gets the number that dumps use too."""
        if change.fallback_discriminator is None:
            return ref
        numbered = ref._replace(discriminator=change.fallback_discriminator)
        if self._tx.has_relationship(numbered.id):
            return numbered
        row = RowName(change.space, change.name)
        is_taken = self._rows.other_row_of(relationship_key(ref.id).encode(), row) is not None
        return numbered if is_taken and self._tx.has_relationship(ref.id) else ref


def _source(space: str) -> str:
    """Return the source in a table's full name: within one source, equal names in two schemas are two tables."""
    return space.partition(".")[0]


def _is_newer(fence: Fence, change: Change) -> bool:
    return bool(fence.order and change.order and fence.order > change.order)


def properties_of(event: PKGEvent) -> dict[str, Any]:
    """Return the properties that an event brings; raises `InvalidInputError` when it has none to bring."""
    if event.new_data is None:
        raise InvalidInputError(f"is required for {event.event_type.value}", field="new_data")
    properties = {name: value for name, value in event.new_data.items() if name != "id"}
    if event.source_document_id is not None:
        properties.setdefault("source_document_id", event.source_document_id)
    if event.extraction_confidence is not None:
        properties.setdefault("extraction_confidence", event.extraction_confidence)
    return properties


def _removed(event: PKGEvent) -> dict[str, Any]:
    old, new = event.old_data or {}, event.new_data or {}
    return {name: None for name in old if name not in new and name != "id"}


def ref_of(event: PKGEvent) -> RelationshipRef:
    """Return the relationship's identity; a foreign id becomes the discriminator."""
    source, target = event.source_id or "", event.target_id or ""
    try:
        ref = RelationshipRef.parse(event.entity_id)
    except InvalidInputError:
        return RelationshipRef(event.entity_type, source, target, event.entity_id)
    if (ref.type, ref.source_id, ref.target_id) == (event.entity_type, source, target):
        return ref
    return RelationshipRef(event.entity_type, source, target, event.entity_id)


def _no_base(record_id: str) -> NotFoundError:
    return NotFoundError(
        f"{record_id!r} is not here, and this message says only what has changed of it: take a snapshot of its "
        "table, or import it, and replay this"
    )


def _unknown_node(name: str) -> NotFoundError:
    return NotFoundError(
        f"the node {name!r} is not known here: apply its creation first, or capture it with keys (a key constraint)"
    )


def _taken(entity_id: str, owner: str) -> InvalidInputError:
    return InvalidInputError(
        f"{entity_id!r} is the id of {owner} already: give each table or label names of its own with "
        "--id-prefix '{space}:' (tables) or '{type}:' (nodes)",
        field="entity_id",
    )
