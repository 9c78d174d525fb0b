"""What is known of an entity before it is erased, and what an erasure can not reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.backup.manifest import MANIFEST_NAME, manifest_or_none
from slipstream.domain.entities import Adjacency, Entity, EntityState
from slipstream.domain.erasure import Erased, mark_of, names_and_texts, without_mentions
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import entity_key
from slipstream.ports.erasing import GraphErasing
from slipstream.ports.graph import GraphReader
from slipstream.views.words import WordViews

_PAGE = 1_000
_DEPTH_MAX = 3
"""How deep below the PKG's directory backups are looked for."""
ANY_SALT = "0" * 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is known of an entity."""

    was_there: bool
    names: tuple[str, ...]
    texts: tuple[str, ...]
    relationships: int
    naming: tuple[str, ...]
    """Neighbours whose texts name it; none when they are to be left alone."""


def described(
    graph: GraphReader,
    log: GraphErasing,
    words: WordViews,
    entity_id: str,
    also: Sequence[str],
    *,
    with_neighbours_text: bool,
) -> Described:
    """Describe an entity by what the graph says of it now, and what the log says that it was."""
    state = graph.read([entity_key(entity_id)], {}).states.get(entity_key(entity_id))
    entity = state.entity if isinstance(state, EntityState) else None
    versions = [*log.told_of(entity_id), *([entity] if entity else [])]
    names: dict[str, None] = dict.fromkeys(also)
    texts: dict[str, None] = {}
    for version in versions:
        try:
            found, longer = names_and_texts(_names(words, version), version.properties)
        except PoisonEventError:  # unreadable: it can not have been searched or shown either
            continue
        names.update(dict.fromkeys(found))
        texts.update(dict.fromkeys(longer))
    neighbours, relationships = _around(graph, entity_id) if entity else ({}, 0)
    erased = Erased(entity_id, mark_of(entity_id, ANY_SALT), tuple(names), tuple(texts))
    naming = _naming(graph, erased, list(neighbours)) if with_neighbours_text else ()
    return Described(
        was_there=entity is not None,
        names=erased.names,
        texts=erased.texts,
        relationships=relationships,
        naming=naming,
    )


def _names(words: WordViews, entity: Entity) -> list[str]:
    fields = words.fields(EntityState(entity))
    return [] if fields is None else [name for name in (fields.name, *fields.aliases) if name]


def _around(graph: GraphReader, entity_id: str) -> tuple[dict[str, None], int]:
    """Return the neighbours of an entity, and how many relationships it has; one with itself counts once."""
    neighbours: dict[str, None] = {}
    seen: set[str] = set()
    after: Adjacency | None = None
    while page := graph.adjacent([entity_id], None, after, _PAGE):
        seen.update(each.ref.id for each in page)
        neighbours.update((each.neighbour_id, None) for each in page if each.neighbour_id != entity_id)
        after = page[-1]
    return neighbours, len(seen)


def _naming(graph: GraphReader, erased: Erased, ids: Sequence[str]) -> tuple[str, ...]:
    found: list[str] = []
    for start in range(0, len(ids), _PAGE):
        states = graph.read([entity_key(each) for each in ids[start : start + _PAGE]], {}).states
        entities = [state.entity for state in states.values() if isinstance(state, EntityState)]
        found += [entity.id for entity in entities if _is_named_in(erased, entity)]
    return tuple(found)


def _is_named_in(erased: Erased, entity: Entity) -> bool:
    try:
        return bool(without_mentions(erased, entity.properties))
    except PoisonEventError:
        return False


def unreachable_of(directory: Path, backups: Sequence[str], graph_id: str) -> list[str]:
    """Return what may still hold the entity, each with what to do: backups by their manifests."""
    found = [
        "logs of this and other programs, exported files, copies that others made: look for them yourself",
        "feeds and programs that write this graph may bring it again: delete it there too",
    ]
    for folder in (directory, *map(Path, backups)):
        for path in sorted(_manifests(folder, _DEPTH_MAX)):
            manifest = manifest_or_none(path.parent)
            if manifest is not None and manifest.graph_id == graph_id:
                made = manifest.created_at.isoformat()
                found.append(
                    f"the backup {path.parent} of {made} (position {manifest.position}) may hold it: make a new one, "
                    "and delete it"
                )
    return list(dict.fromkeys(found))


def uploads_in(folder: Path) -> list[str]:
    """Return which files were sent and are not imported yet, each with what to do: they are not looked into."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [
        f"the upload {name} is not imported yet, and may bring it again: once it is imported, erase it again"
        for name in names
    ]


def _manifests(folder: Path, depth: int) -> list[Path]:
    if not folder.is_dir():
        return []
    own = [folder / MANIFEST_NAME] if (folder / MANIFEST_NAME).exists() else []
    below = [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()] if depth else []
    return own + [path for each in below for path in _manifests(each, depth - 1)]
