"""Refused rows of dumps: kept with the names of their file, so that a replay imports them under the same ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slipstream.domain.entities import EntityState
from slipstream.domain.errors import AlreadyExistsError, NotFoundError
from slipstream.domain.keys import entity_key
from slipstream.domain.names import without_unkept
from slipstream.events.file_space import Named, keyless
from slipstream.events.formats.dump import DumpHead, DumpNode, DumpRelationship, parse_row
from slipstream.ports.graph import GraphReader, GraphTransaction, SchemaTransaction

_SCHEMA = "slipstream.row/1"
_IS_ROW = f'{{"schema": "{_SCHEMA}"'
_AGAIN = "mend it and import the file again"


@dataclass(frozen=True, slots=True)
class RowLetter:
    """A refused row, and the names that its file gives to its nodes."""

    text: str
    prefix: str | None = None
    """Prefix of ids of nodes without an id of their own; None when the file is not known."""
    ends: Sequence[Named | None] = (None, None)
    is_first: bool = False
    """Whether a relationship without a key is its file's first of its type between its ends."""
    is_taken: bool = False
    """Whether the node was refused because its id is another node's, which it must not overwrite."""

    def encode(self) -> str:
        """Return the payload of the dead letter."""
        facts = {"prefix": self.prefix, "ends": self.ends, "is_first": self.is_first, "is_taken": self.is_taken}
        return json.dumps({"schema": _SCHEMA, **facts, "row": self.text})

    @classmethod
    def decode(cls, payload: str) -> RowLetter:
        """Return the letter of a payload; older versions kept the bare row."""
        if not payload.startswith(_IS_ROW):
            return cls(payload)
        facts = json.loads(payload)
        ends = [None if end is None else Named(*end) for end in facts["ends"]]
        return cls(facts["row"], facts["prefix"], ends, facts["is_first"], facts["is_taken"])

    def row(self) -> DumpNode | DumpRelationship | DumpHead:
        """Return the row; raises `InvalidInputError` when it can not be read."""
        return parse_row(self.text, 0, "row")

    def write(self, tx: GraphTransaction, reader: GraphReader) -> None:
        """
        Import the row, under the names of its file.

        Raises `NotFoundError` when an end is not there, and `AlreadyExistsError` when its id is another entity's.
        """
        row = self.row()
        if isinstance(row, DumpHead):
            import_schema(tx, row)
        elif isinstance(row, DumpNode):
            self._write_node(tx, reader, row)
        else:
            source, target = self._end(0, reader, row), self._end(1, reader, row)
            key = row.discriminator
            if key is None:
                key = keyless(tx, row, source, target, is_first=self.is_first)
            properties = without_unkept(row.properties)[0]
            tx.relate(source.id, row.type, target.id, properties, discriminator=key, replace=True)

    def _write_node(self, tx: GraphTransaction, reader: GraphReader, row: DumpNode) -> None:
        if row.entity_id is None and self.prefix is None:
            raise NotFoundError(f"row {row.row_id} has no properties.id, and its file is not known: {_AGAIN}")
        entity_id = row.entity_id or f"{self.prefix}{row.row_id}"
        present = _type_of(entity_id, reader)
        if present is not None and (self.is_taken or present != row.entity_type):
            raise AlreadyExistsError(f"{entity_id!r} is the id of another {present} already: {_AGAIN}")
        tx.upsert_entity(row.entity_type, entity_id, without_unkept(row.properties)[0])

    def _end(self, which: int, reader: GraphReader, row: DumpRelationship) -> Named:
        number, own_id, label = row.said_ends[which]
        named = self.ends[which]
        if named is None and self.prefix is None and own_id is not None:
            named = Named(own_id, label)  # of an older version
        if named is None:
            raise NotFoundError(f"its end, row {number}, can not be told from other nodes: {_AGAIN}")
        present = _type_of(named.id, reader)
        if present is None or named.type not in ("", present):  # a source that is no dump does not say the type
            raise NotFoundError(f"its end, row {number}, is {named.type} {named.id!r}, which is not there: {_AGAIN}")
        return named


def import_schema(tx: GraphTransaction, head: DumpHead, versions: slice = slice(None)) -> None:
    """Import what some versions of an export's schema added; other graphs' schemas grow with the rows."""
    if isinstance(tx, SchemaTransaction):
        for entity_types, relationship_types in head.schema[versions]:
            tx.extend_schema(entity_types, relationship_types)


def _type_of(entity_id: str, reader: GraphReader) -> str | None:
    state: Any = reader.read([entity_key(entity_id)], {}).states.get(entity_key(entity_id))
    return state.entity.type if isinstance(state, EntityState) else None
