"""Writes notes into a graph: what they say, and nothing of theirs besides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from slipstream.domain.entities import Adjacency, Direction, Entity
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.names import without_unkept
from slipstream.domain.positions import ORIGIN, Position
from slipstream.importers.notes.identity import KnownNote, Listing, entities_of
from slipstream.importers.notes.note import Note, digest_of
from slipstream.importers.notes.note_rows import EMBEDS, LINKS_TO, PART_OF, SECTION, TAG, TAGGED, NoteRows
from slipstream.importers.rows import EntityRow, RelationshipRow
from slipstream.ports.graph import GraphTransaction

_OWN_TYPES = frozenset((LINKS_TO, EMBEDS, TAGGED, PART_OF))
_PAGE = 1_000


class KeptGraph(Listing, Protocol):
    """A graph that is kept equal to notes; a `PKG` is one."""

    def transaction(self) -> AbstractContextManager[GraphTransaction]:
        """Open a write transaction."""
        ...

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        ...

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        ...


class NoteWriter:
    """
    Writes notes; `known` follows what the graph has of them.

    What is read of the graph is what is committed: a transaction writes each note once, and reads it before.
    """

    def __init__(self, graph: KeptGraph, rows: NoteRows, known: dict[str, KnownNote]) -> None:
        self._graph, self._rows, self._known = graph, rows, known

    def delete(self, tx: GraphTransaction, note_ids: Sequence[str]) -> set[str]:
        """Delete notes with their sections, and return what they led to, which may be of no use now."""
        left: set[str] = set()
        for note_id, adjacencies in self._adjacencies(note_ids).items():
            for section in _sections(note_id, adjacencies):
                tx.delete_entity(section)
            left |= {each.neighbour_id for each in adjacencies if each.direction is Direction.OUT}
        for note_id in note_ids:
            if tx.entity(note_id) is not None:
                tx.delete_entity(note_id)
            self._known.pop(note_id, None)
        return left.difference(note_ids)

    def write_entities(self, tx: GraphTransaction, notes: Iterable[Note], refused: dict[str, str]) -> list[Note]:
        """Write notes with their sections and what they mention; returns those that the graph takes."""
        taken = []
        for note in notes:
            rows = list(self._rows.entities(note))
            try:
                for row in rows:
                    self._write(tx, row)
                for part in self._rows.parts(note):  # here, so that no section is ever without its note
                    self._relate(tx, part)
            except InvalidInputError as error:
                refused[note.path] = str(error)
                continue
            taken.append(note)
            note_id = self._rows.ids[note.path]
            self._known[note_id] = KnownNote(note_id, note.path, digest_of(note.text), rows[0].type)
        return taken

    def _write(self, tx: GraphTransaction, row: EntityRow) -> None:
        if not row.is_mentioned:
            tx.upsert_entity(row.type, row.id, without_unkept(row.properties)[0])
        elif tx.entity(row.id) is None:
            tx.create_entity(row.type, row.id, row.properties)
            if row.type != TAG:
                self._known[row.id] = KnownNote(row.id, None, digest_of(""), row.type)

    def write_relationships(self, tx: GraphTransaction, notes: Sequence[Note]) -> set[str]:
        """Make the relationships of notes what they say; returns what they no longer lead to."""
        ids = [self._rows.ids[note.path] for note in notes]
        adjacencies = self._adjacencies(ids)
        left: set[str] = set()
        for note, note_id in zip(notes, ids, strict=True):
            wanted = list(self._rows.relationships(note))
            refs = {_ref(row) for row in wanted}
            there = adjacencies.get(note_id, ())
            for section in _sections(note_id, there) - {row.source_id for row in wanted}:
                tx.delete_entity(section)
            for each in there:
                if each.direction is Direction.OUT and each.ref not in refs and tx.has_relationship(each.ref.id):
                    tx.unrelate(each.ref.id)
                    left.add(each.neighbour_id)
            for row in wanted:
                self._relate(tx, row)
        return left

    def _relate(self, tx: GraphTransaction, row: RelationshipRow) -> None:
        source, kind, target, properties, discriminator = row
        try:
            tx.relate(source, kind, target, properties, discriminator=discriminator, replace=True)
        except NotFoundError:
            # The other note was refused, or is just being deleted: its own event makes it good.
            return

    def remove_unused(self, candidates: Collection[str]) -> Position:
        """Delete those tags and mentioned notes that nothing leads to any more; returns the position."""
        position, left = ORIGIN, self._unused(self._removable(candidates))
        while left:
            with self._graph.transaction() as tx:
                unused = self._unused(left)  # once more, when nobody else can write
                for entity_id in unused:
                    if _is_bare(tx.entity(entity_id)):
                        tx.delete_entity(entity_id)
                        self._known.pop(entity_id, None)
            position = tx.position
            above = {each for tags in unused.values() for each in tags}
            left = self._unused(self._removable(above - unused.keys()))
        return position

    def of_no_note(self) -> set[str]:
        """Return all tags of the vault, and all that is only mentioned: a round that was killed leaves some."""
        tags = (entity.id for entity in entities_of(self._graph, TAG))
        return self._removable([*tags, *self._known])

    def _removable(self, candidates: Collection[str]) -> set[str]:
        """Return the tags of this vault, and what is only mentioned."""
        tags, known = self._rows.tags_prefix, self._known
        return {each for each in candidates if each.startswith(tags) or (each in known and known[each].path is None)}

    def _unused(self, candidates: Iterable[str]) -> dict[str, list[str]]:
        """Return those that nothing leads to, and that lead to nothing but a tag above them, with that."""
        ids, unused = sorted(candidates), dict[str, list[str]]()
        for at in range(0, len(ids), _PAGE):
            page = ids[at : at + _PAGE]
            found: defaultdict[str, list[Adjacency]] = defaultdict(list)
            for each in self._graph.nearby(page, 2):
                found[each.entity_id].append(each)
            unused |= {each: [it.neighbour_id for it in found[each]] for each in page if not _is_used(found[each])}
        return unused

    def _adjacencies(self, ids: Sequence[str]) -> dict[str, list[Adjacency]]:
        found: defaultdict[str, list[Adjacency]] = defaultdict(list)
        for each in self._pages(ids):
            found[each.entity_id].append(each)
        return dict(found)

    def _pages(self, ids: Sequence[str]) -> Iterator[Adjacency]:
        after: Adjacency | None = None
        while ids:
            page = self._graph.adjacent(ids, _OWN_TYPES, after, _PAGE)
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1]


def _sections(note_id: str, adjacencies: Iterable[Adjacency]) -> set[str]:
    """Return the sections that are part of a note."""
    return {
        each.neighbour_id
        for each in adjacencies
        if each.direction is Direction.IN
        and each.neighbour_type == SECTION
        and each.ref.type == PART_OF
        and each.neighbour_id.startswith(f"{note_id}#")
    }


def _is_used(adjacencies: Sequence[Adjacency]) -> bool:
    """Whether anything leads to an entity, or it to anything but the one tag that it is part of."""
    return len(adjacencies) > 1 or any(
        each.direction is Direction.IN or each.ref.type != PART_OF for each in adjacencies
    )


def _is_bare(entity: Entity | None) -> bool:
    """Whether an entity is there as notes mention it: what somebody gave it besides is not lost."""
    return entity is not None and not entity.properties.keys() - ({"name"} if entity.type == TAG else ())


def _ref(row: RelationshipRow) -> RelationshipRef:
    return RelationshipRef(row.type, row.source_id, row.target_id, row.discriminator)
