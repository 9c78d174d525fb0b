"""Maps the row numbers of a dump, which are names in that file only, to ids of the graph."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from slipstream.domain.errors import AlreadyExistsError, ConfigError, InvalidInputError, NotFoundError
from slipstream.domain.keys import RelationshipRef
from slipstream.events.formats.dump import DumpNode, DumpRelationship
from slipstream.events.packing import unpacked_name
from slipstream.ports.graph import GraphTransaction
from slipstream.ports.journal import NamedValues

_OWNER = "import:space:"
"""Prefix of the journal entries that say which file an id prefix belongs to."""


class Named(NamedTuple):
    """The node that a row stands for: its id in the graph, and its type."""

    id: str
    type: str


class FileSpace:
    """
    The names of one file.

    A node without an id of its own is named by the file and its row number, so that it is never taken for a node of
    another file, nor for one whose id looks like that number.
    """

    def __init__(self, path: Path, prefix: str | None, journal: NamedValues) -> None:
        self.prefix = f"{unpacked_name(path)}#" if prefix is None else prefix
        self._path, self._is_chosen, self._journal = path, prefix is not None, journal
        self._has_prefix = False
        self._named: dict[str, Named | None] = {}
        """By row number; None for a number that two nodes share."""
        self._owners: dict[str, str] = {}
        """The row number that brought an id, by id."""
        self._refused: set[str] = set()
        self._keyless: dict[int, int] = {}
        """The relationship without a key, by type and both ends; as hashes, for there are many."""

    def name(self, row: DumpNode) -> Named:
        """
        Return the id and type of a node, and keep them.

        Raises `AlreadyExistsError` when another row has its id or its number, and `ConfigError` when the prefix
        belongs to another file.
        """
        if row.entity_id is None:
            self._take_prefix()
        named = Named(row.entity_id or f"{self.prefix}{row.row_id}", sys.intern(row.entity_type))
        if row.row_id in self._named and (row.entity_id is None or self._named[row.row_id] != named):
            self._named[row.row_id] = None
            raise AlreadyExistsError(
                f"the row number {row.row_id} is there twice, so nobody can tell what leads to which of them: "
                "import dumps one by one, not joined to one file"
            )
        owner = self._owners.setdefault(named.id, row.row_id)
        if owner != row.row_id:
            owned = self._named.get(owner)
            # With an equal type as well, relationships to this row could not be told from those to the other.
            self._named[row.row_id] = None if owned is not None and owned.type == named.type else named
            self.refuse(row.row_id)
            raise AlreadyExistsError(
                f"properties.id: {named.id!r} is the id of row {owner} already; ids are unique per graph, so one "
                "would overwrite the other: give one of them another id"
            )
        self._named[row.row_id] = named
        return named

    def _take_prefix(self) -> None:
        """Record this file as the prefix's owner: a file of the same name elsewhere must not overwrite its nodes."""
        if self._has_prefix:
            return
        self._has_prefix = True
        place, owner = str(self._path.resolve()), self._journal.get(_OWNER + self.prefix)
        if owner not in (None, place) and not self._is_chosen:
            raise ConfigError(
                f"nodes without properties.id are called by the file's name and their number, and {self.prefix}… are "
                f"those of {owner}: give --id-prefix, {self.prefix!r} if it is the same graph, or another one"
            )
        if owner != place:
            self._journal.set(_OWNER + self.prefix, place)

    def refuse(self, row_id: str) -> None:
        """Note that a node is not in the graph: nothing may lead to it."""
        self._refused.add(row_id)

    def ends(self, row: DumpRelationship) -> tuple[Named, Named]:
        """Return both ends of a relationship; raises `NotFoundError` when one of them was refused or is not there."""
        return self._end(row.source_row_id, row.source_id), self._end(row.target_row_id, row.target_id)

    def _end(self, row_id: str, said: str | None) -> Named:
        named = self._named.get(row_id)
        if row_id in self._refused or (named is None and row_id in self._named):
            raise NotFoundError(f"its end, row {row_id}, was refused")
        if named is None:
            raise NotFoundError(f"its end, row {row_id}, is not in this file, or was refused for what it looks like")
        if said is not None and said != named.id:
            raise InvalidInputError(f"row {row_id} has the id {named.id!r}, not {said!r}", field="properties.id")
        return named

    def ends_told(self, row: DumpRelationship) -> Sequence[Named | None]:
        """Return what the file says of both ends, in the graph or not, for a replay; None for an unknown end."""
        return [
            self._named[row_id] if row_id in self._named else (None if said is None else Named(said, label))
            for row_id, said, label in row.said_ends
        ]

    def key(self, tx: GraphTransaction, row: DumpRelationship, source: Named, target: Named) -> str:
        """
        Return the key that tells a relationship from others of its type between the same ends.

        Its own key, if it has one. Else the empty key; but its row number when another relationship of the file has
        the empty key already, or when it is in the graph under its number (from an earlier version, or from a
        stream).
        """
        if row.discriminator is not None:
            return row.discriminator
        place, number = _place(row)
        key = keyless(tx, row, source, target, is_first=self._keyless.get(place, number) == number)
        if not key:
            self._keyless[place] = number
        return key

    def is_first(self, row: DumpRelationship) -> bool:
        """Note a relationship without a key; return whether it is the file's first of its type between its ends."""
        place, number = _place(row)
        return self._keyless.setdefault(place, number) == number


def _place(row: DumpRelationship) -> tuple[int, int]:
    return hash((row.type, row.source_row_id, row.target_row_id)), hash(row.row_id)


def keyless(tx: GraphTransaction, row: DumpRelationship, source: Named, target: Named, *, is_first: bool) -> str:
    """Return the key of a relationship that has none; see `FileSpace.key`."""
    if not is_first:
        return row.row_id
    is_there = tx.has_relationship(RelationshipRef(row.type, source.id, target.id, row.row_id).id)
    return row.row_id if is_there else ""
