"""Which id a note has: its own, or the one that the graph remembers of its path, also after the note was moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from slipstream.domain.entities import Entity, EntityPage
from slipstream.domain.schema import GraphSchema
from slipstream.importers.notes.links import last_of, path_key
from slipstream.importers.notes.note import digest_of

VAULT = "vault"
"""The property of a note that has an id of its own: what the ids of the others begin with."""
_PAGE = 1_000


class KnownNote(NamedTuple):
    """A note as the graph has it; one without a path is only mentioned by links."""

    id: str
    path: str | None
    digest: bytes
    type: str


Known = Callable[[], Sequence[KnownNote]]
"""What the graph has of a vault."""


@runtime_checkable
class Listing(Protocol):
    """A graph whose entities can be listed by type; a `PKG` is one."""

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        ...

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return the next entities of a type."""
        ...


def known_notes(graph: Listing, prefix: str, note_type: str) -> list[KnownNote]:
    """
    Return what a graph has of the vault whose ids begin with `prefix`.

    The graph alone remembers: a note's path is a property of its entity, and its text tells its content. One with an
    id of its own (front matter) has the prefix as a property, `vault`.
    """
    found = []
    for entity_type, properties in graph.schema().entity_types.items():
        if "path" not in properties and entity_type != note_type:
            continue
        for entity in entities_of(graph, entity_type):
            path, text = entity.properties.get("path"), entity.properties.get("text", "")
            if entity.id.startswith(prefix) or entity.properties.get(VAULT) == prefix:
                where = path if isinstance(path, str) else None
                found.append(KnownNote(entity.id, where, digest_of(str(text)), entity_type))
    return found


def entities_of(graph: Listing, entity_type: str) -> Iterator[Entity]:
    """Yield all entities of a type."""
    after: str | None = None
    while True:
        page = graph.of_type(entity_type, after, _PAGE)
        yield from page.items
        after = page.next
        if after is None:
            return


def assign_ids(
    paths: Iterable[str],
    own: Mapping[str, str],
    known: Sequence[KnownNote],
    prefix: str,
    digest: Callable[[str], bytes | None],
) -> dict[str, str]:
    """
    Return the id of each note.

    In this order: the one that it gives itself (`own`); the one that its path had; where a path is gone, the note
    with the same content, or else with the same name, if there is only one such on each side; the one of an entity
    that links mentioned by its name; a new one, made of its path. `digest` tells the content of a note, None of one
    that can not be read.
    """
    by_path = {note.path: note for note in known if note.path is not None}
    order = sorted(paths, key=lambda path: (len(path), path))
    ids = dict(own)
    claimed = set(own.values())
    for path in order:
        if path not in own and path in by_path and by_path[path].id not in claimed:
            ids[path] = by_path[path].id
    new = [path for path in order if path not in ids]
    used = set(ids.values())
    gone = [note for note in by_path.values() if note.id not in used]  # also where another note has its path now
    for path, note in _moved(new, gone, digest).items():
        ids[path] = note.id
    used = set(ids.values())
    free = {note.id for note in known} - used
    mentioned = {path_key(note.id.removeprefix(prefix)): note.id for note in known if note.path is None}
    taken = used | {note.id for note in known if note.path is not None}
    for path in new:
        if path not in ids:
            ids[path] = _adopted(path, mentioned, free) or _made(prefix, path, taken)
            free.discard(ids[path])
            taken.add(ids[path])
    return ids


def _moved(
    new: Sequence[str], gone: Sequence[KnownNote], digest: Callable[[str], bytes | None]
) -> dict[str, KnownNote]:
    """Return which new path is which note that is gone from its own."""
    if not new or not gone:
        return {}
    empty = digest_of("")
    contents = {path: content for path in new if (content := digest(path)) not in (None, empty)}
    keys: tuple[tuple[Callable[[str], object], Callable[[KnownNote], object]], ...] = (
        (lambda path: (contents.get(path), _name(path)), lambda note: (note.digest, _name(note.path))),
        (contents.get, lambda note: note.digest),
        (_name, lambda note: _name(note.path)),
    )
    found: dict[str, KnownNote] = {}
    for of_path, of_note in keys:
        taken = {note.id for note in found.values()}
        left: defaultdict[object, tuple[list[str], list[KnownNote]]] = defaultdict(lambda: ([], []))
        for path in new:
            if path not in found:
                left[of_path(path)][0].append(path)
        for note in gone:
            if note.id not in taken:
                left[of_note(note)][1].append(note)
        found |= {paths[0]: notes[0] for paths, notes in left.values() if len(paths) == len(notes) == 1}
    return found


def _name(path: str | None) -> str:
    return last_of(path_key(path or ""))


def _adopted(path: str, mentioned: Mapping[str, str], free: set[str]) -> str | None:
    """Return the id of what links mentioned by the note's path or name, if no note has it yet."""
    key = path_key(path)
    return next((found for name in (key, last_of(key)) if (found := mentioned.get(name)) in free), None)


def _made(prefix: str, path: str, taken: set[str]) -> str:
    stem = path.rpartition(".")[0]
    stem = stem.replace("#", "%23")  # `#` is before a section, and before a tag
    number, found = 1, f"{prefix}{stem}"
    while found in taken:
        number += 1
        found = f"{prefix}{stem}~{number}"
    return found
