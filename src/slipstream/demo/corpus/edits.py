"""Edits as people make them in a living code base: rewordings, renames, new and deleted functions, dependencies."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from slipstream.domain.entities import Entity, Properties, PropertyValue, Relationship
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef


class EditKind(StrEnum):
    """What an edit does to the graph."""

    REWORD = "reword"
    """The description of an entity says something new."""
    RENAME = "rename"
    """A class, function or method gets another name; its id stays."""
    MOVE = "move"
    """A definition moves to another line, which no text shows: an index has nothing to do."""
    CREATE = "create"
    """A module gets a new function."""
    DELETE = "delete"
    """A function or method goes."""
    DEPEND = "depend"
    """A package starts to depend on another one."""


@dataclass(frozen=True, slots=True)
class Edit:
    """
    One edit. Edits of one stream build on each other: apply them in order.

    `entity` is the whole entity after the edit (for a deletion: as it was). `changed` are the properties that an
    update sets. `relationship` is what comes new with it; it may be there already in the graph, so put it there
    with replacement.
    """

    kind: EditKind
    entity: Entity
    changed: Properties = field(default_factory=dict)
    relationship: Relationship | None = None


_WEIGHTS: Mapping[EditKind, int] = MappingProxyType(
    {
        EditKind.REWORD: 50,
        EditKind.MOVE: 20,
        EditKind.RENAME: 10,
        EditKind.CREATE: 8,
        EditKind.DELETE: 8,
        EditKind.DEPEND: 4,
    }
)
_SUBJECTS = (
    "a cached result", "a cancelled task", "a closed connection", "a missing file", "a naive datetime",
    "an empty sequence", "an expired certificate", "an interrupted write", "invalid UTF-8", "nested transactions",
    "out-of-order messages", "symbolic links", "temporary network failures", "very large integers",
)  # fmt: skip
_NOTES = (
    "Now also handles {}.", "No longer fails on {}.", "Raises a clear error for {}.", "Warns about {}.",
    "See the changelog about {}.", "Twice as fast for {}.",
)  # fmt: skip
_VERBS = (
    "build",
    "check",
    "collect",
    "convert",
    "find",
    "load",
    "merge",
    "open",
    "parse",
    "resolve",
    "save",
    "watch",
)
_NOUNS = (
    "archive",
    "batch",
    "cache",
    "config",
    "header",
    "index",
    "locale",
    "manifest",
    "record",
    "session",
    "token",
)


def live_edits(entities: Sequence[Entity], seed: int) -> Iterator[Edit]:
    """
    Yield an endless stream of edits of these entities; the same entities and seed give the same edits.

    Raises `InvalidInputError` at once when there is nothing that could be edited.
    """
    editor = _Editor(entities, random.Random(seed))  # noqa: S311  (a reproducible choice, no secret)
    if not editor.can_edit:
        raise InvalidInputError("holds no entity with a description", field="entities")
    return editor.run()


class _Editor:
    """The entities as they are after the edits so far. Ids are picked from lists, so that a pick costs nothing."""

    def __init__(self, entities: Sequence[Entity], rng: random.Random) -> None:
        self._rng = rng
        self._entities = {entity.id: entity for entity in entities}
        self._described = [entity.id for entity in entities if entity.properties.get("description")]
        self._definitions = [entity.id for entity in entities if "line" in entity.properties]
        self._functions = [
            entity.id for entity in entities if entity.properties.get("kind") in ("function", "method")
        ]
        self._modules = [entity.id for entity in entities if entity.properties.get("kind") in ("module", "package")]
        self._packages = [entity.id for entity in entities if entity.type == "Package"]
        self._bases: dict[str, str] = {}
        """Descriptions as they were before the first rewording, so that they do not grow for ever."""
        self._dependencies: set[RelationshipRef] = set()

    @property
    def can_edit(self) -> bool:
        """Whether there is something to reword, which is always possible."""
        return bool(self._described)

    def run(self) -> Iterator[Edit]:
        makers: Mapping[EditKind, Callable[[], Edit | None]] = {
            EditKind.REWORD: self._reword,
            EditKind.MOVE: self._move,
            EditKind.RENAME: self._rename,
            EditKind.CREATE: self._create,
            EditKind.DELETE: self._delete,
            EditKind.DEPEND: self._depend,
        }
        kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        while True:
            kind = self._rng.choices(kinds, weights)[0]
            yield makers[kind]() or self._reword()

    def _pick(self, ids: list[str]) -> Entity | None:
        """Return a random entity of a list; ids of deleted ones are dropped from it when they come up."""
        while ids:
            place = self._rng.randrange(len(ids))
            entity = self._entities.get(ids[place])
            if entity is not None:
                return entity
            ids[place] = ids[-1]
            ids.pop()
        return None

    def _update(self, kind: EditKind, entity: Entity, changed: Properties) -> Edit:
        updated = Entity(entity.id, entity.type, {**entity.properties, **changed})
        self._entities[entity.id] = updated
        return Edit(kind, updated, changed)

    def _reword(self) -> Edit:
        entity = self._pick(self._described)
        if entity is None:  # `can_edit` and `_delete` keep one
            raise InvalidInputError("holds no entity with a description any more", field="entities")
        before = str(entity.properties["description"])
        base = self._bases.setdefault(entity.id, before)
        after = before
        while after == before:
            after = f"{base} {self._note()}"
        return self._update(EditKind.REWORD, entity, {"description": after})

    def _note(self) -> str:
        return self._rng.choice(_NOTES).format(self._rng.choice(_SUBJECTS))

    def _move(self) -> Edit | None:
        entity = self._pick(self._definitions)
        line = entity.properties.get("line") if entity else None
        if entity is None or not isinstance(line, int):
            return None
        return self._update(EditKind.MOVE, entity, {"line": line + self._rng.randint(1, 40)})

    def _rename(self) -> Edit | None:
        entity = self._pick(self._definitions)
        if entity is None:
            return None
        before = str(entity.properties.get("name", ""))
        name = before
        while name == before:
            name = f"{self._rng.choice(_VERBS)}_{self._rng.choice(_NOUNS)}"
        parent = str(entity.properties.get("qualified_name", "")).rpartition(".")[0]
        signature = re.sub(rf"\b{re.escape(before)}\b", name, str(entity.properties.get("signature", "")), count=1)
        changed = {"name": name, "qualified_name": f"{parent}.{name}", "signature": signature}
        return self._update(EditKind.RENAME, entity, changed)

    def _create(self) -> Edit | None:
        module = self._pick(self._modules)
        if module is None:
            return None
        verb, noun = self._rng.choice(_VERBS), self._rng.choice(_NOUNS)
        entity_id = f"{module.id}.{verb}_{noun}"
        if entity_id in self._entities:
            return None
        properties: dict[str, PropertyValue] = {
            "name": f"{verb}_{noun}",
            "qualified_name": entity_id.removeprefix("code:"),
            "kind": "function",
            "signature": f"def {verb}_{noun}(source, *, strict=True)",
            "description": f"{verb.capitalize()} the {noun}. {self._note()}",
            "line": self._rng.randint(10, 900),
        }
        entity = Entity(entity_id, module.type, properties)
        self._entities[entity_id] = entity
        for ids in (self._described, self._definitions, self._functions):
            ids.append(entity_id)
        return Edit(EditKind.CREATE, entity, {}, Relationship(RelationshipRef("DEFINES", module.id, entity_id)))

    def _delete(self) -> Edit | None:
        entity = self._pick(self._functions)
        if entity is None or self._is_last_described(entity.id):
            return None
        del self._entities[entity.id]
        self._bases.pop(entity.id, None)
        return Edit(EditKind.DELETE, entity)

    def _is_last_described(self, entity_id: str) -> bool:
        others = (other for other in self._described if other != entity_id and other in self._entities)
        return next(others, None) is None

    def _depend(self) -> Edit | None:
        source, target = self._pick(self._packages), self._pick(self._packages)
        if source is None or target is None or source.id == target.id:
            return None
        ref = RelationshipRef("DEPENDS_ON", source.id, target.id)
        if ref in self._dependencies:
            return None
        self._dependencies.add(ref)
        requirement: dict[str, PropertyValue] = {
            "requirement": str(target.properties.get("name", "")),
            "optional": False,
        }
        return Edit(EditKind.DEPEND, source, {}, Relationship(ref, requirement))
