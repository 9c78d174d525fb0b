"""Application of foreign change events to the graph: a live pipe or a file of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipstream.domain.errors import InvalidInputError, NotFoundError, SlipstreamError, TransientError
from slipstream.domain.events import PKGEvent, PKGEventType, deterministic_event_id
from slipstream.domain.formats.detect import parse_event
from slipstream.domain.keys import RelationshipRef, entity_key
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import DeadLetter
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphTransaction, WritableGraph
from slipstream.ports.journal import DeadLetters

logger = logging.getLogger(__name__)

BATCH = 500
REJECTED_SHOWN = 20


@dataclass(slots=True)
class ApplyReport:
    """What a stream of events brought. `rejected` ones are dead letters that can be replayed."""

    applied: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejected: int = 0
    position: Position = ORIGIN
    errors: list[str] = field(default_factory=list)


class Applier:
    """
    Applies change events to the graph, each exactly as often as its id is new.

    A creation sets the entity's properties, an update merges `new_data` and removes what `old_data` had and
    `new_data` lacks, a deletion of what is not there is no error. The event id is recorded in the same
    transaction, so a replayed file changes nothing.
    """

    def __init__(self, pkg: WritableGraph, letters: DeadLetters, clock: Clock) -> None:
        self._pkg, self._letters, self._clock = pkg, letters, clock

    def run(
        self, lines: Iterable[Sequence[str]], on_batch: Callable[[ApplyReport], None] | None = None
    ) -> ApplyReport:
        """Apply batches of JSON lines, one transaction each; a bad line or event is rejected, the rest goes on."""
        report = ApplyReport()
        for batch in lines:
            self.apply(list(self._parsed(batch, report)), report)
            if on_batch is not None:
                on_batch(report)
        report.position = self._pkg.last_commit
        return report

    def _parsed(self, lines: Sequence[str], report: ApplyReport) -> Iterator[PKGEvent]:
        for line in lines:
            if not line.strip():
                continue
            try:
                yield from parse_event(line)
            except InvalidInputError as error:
                self._reject(f"apply:{deterministic_event_id([line])}", line, error, report)

    def apply(self, events: Sequence[PKGEvent], report: ApplyReport) -> None:
        """Apply events in one transaction; when one of them is at fault, each in a transaction of its own."""
        try:
            self._apply_together(events, report)
        except TransientError:
            raise
        except SlipstreamError as error:
            if len(events) == 1:
                event = events[0]
                self._reject(f"apply:{event.event_id}", event.model_dump_json(), error, report)
                return
            for event in events:
                self.apply([event], report)

    def _apply_together(self, events: Sequence[PKGEvent], report: ApplyReport) -> None:
        applied = duplicates = ignored = 0
        with self._pkg.transaction() as tx:
            types = self._types(events)
            for event in events:
                if event.event_type is PKGEventType.SCHEMA_EVOLVED:
                    ignored += 1  # this graph's schema follows from its own data
                elif tx.once(event.event_id):
                    self._mutate(tx, event, types)
                    applied += 1
                else:
                    duplicates += 1
        report.applied += applied
        report.duplicates += duplicates
        report.ignored += ignored

    def _types(self, events: Sequence[PKGEvent]) -> dict[str, str]:
        """Return the present types of the entities that the events are about."""
        keys = [entity_key(event.entity_id) for event in events if event.event_type.is_entity]
        states = self._pkg.read(keys, {}).states
        return {key.id: state.entity.type for key, state in states.items() if hasattr(state, "entity")}

    def _mutate(self, tx: GraphTransaction, event: PKGEvent, types: dict[str, str]) -> None:
        if event.event_type.is_relationship:
            _mutate_relationship(tx, event)
        elif event.event_type.is_deletion:
            if types.pop(event.entity_id, None) is not None:
                tx.delete_entity(event.entity_id)
        else:
            self._write_entity(tx, event, types)

    @staticmethod
    def _write_entity(tx: GraphTransaction, event: PKGEvent, types: dict[str, str]) -> None:
        properties = _properties(event)
        merges = event.event_type is PKGEventType.ENTITY_UPDATED and types.get(event.entity_id) == event.entity_type
        if merges:
            tx.update_entity(event.entity_id, {**_removed(event), **properties})
        else:
            tx.upsert_entity(event.entity_type, event.entity_id, properties)
            types[event.entity_id] = event.entity_type

    def replay(self, letter: DeadLetter) -> bool:
        """Try a rejected event again; False when it is rejected once more (its letter is then renewed)."""
        if letter.payload is None:
            return False
        return self.run([[letter.payload]]).rejected == 0

    def _reject(self, letter_id: str, payload: str, error: SlipstreamError, report: ApplyReport) -> None:
        report.rejected += 1
        text = f"{type(error).__name__}: {error}"
        if len(report.errors) < REJECTED_SHOWN:
            report.errors.append(text)
        self._letters.bury([DeadLetter(letter_id, None, text, 1, self._clock.now(), None, payload)])


def _properties(event: PKGEvent) -> dict[str, Any]:
    if event.new_data is None:
        raise InvalidInputError(f"is required for {event.event_type.value}", field="new_data")
    properties = {name: value for name, value in event.new_data.items() if name != "id"}
    if event.source_document_id is not None:
        properties.setdefault("source_document_id", event.source_document_id)
    if event.extraction_confidence is not None:
        properties.setdefault("extraction_confidence", event.extraction_confidence)
    return properties


def _removed(event: PKGEvent) -> Mapping[str, None]:
    old, new = event.old_data or {}, event.new_data or {}
    return {name: None for name in old if name not in new and name != "id"}


def _mutate_relationship(tx: GraphTransaction, event: PKGEvent) -> None:
    ref = _ref(event)
    if event.event_type.is_deletion:
        try:
            tx.unrelate(ref.id)
        except NotFoundError:
            logger.debug("relationship %s is gone already", ref.id)
        return
    properties = _properties(event) if event.new_data is not None else {}
    tx.relate(ref.source_id, ref.type, ref.target_id, properties, discriminator=ref.discriminator, replace=True)


def _ref(event: PKGEvent) -> RelationshipRef:
    """Return the relationship's identity; a foreign id becomes the discriminator."""
    source, target = event.source_id or "", event.target_id or ""
    try:
        ref = RelationshipRef.parse(event.entity_id)
    except InvalidInputError:
        return RelationshipRef(event.entity_type, source, target, event.entity_id)
    if (ref.type, ref.source_id, ref.target_id) == (event.entity_type, source, target):
        return ref
    return RelationshipRef(event.entity_type, source, target, event.entity_id)
