"""The input: documented entities of the Python environment, and edits that give them new texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from slipstream.corpus.python_environment import read_environment
from slipstream.corpus.text import excerpt
from slipstream.domain.entities import Entity, Properties, Relationship
from slipstream.domain.errors import ConfigError
from slipstream.service.config import CONFIG_NAME

TEMPLATE = "{{ name }}: {{ description }}"
UNREAD = "reads"
"""A property that no view reads."""
DESCRIPTION_SIZE_MAX = 300
_KEPT = ("name", "kind", "signature", "path", "line", "version")


@dataclass(frozen=True, slots=True)
class Documents:
    """Entities with a description, and the relationships between them."""

    entities: Sequence[Entity]
    relationships: Sequence[Relationship]

    def first(self, count: int) -> Documents:
        """Return the first entities only, and the relationships between those."""
        entities = self.entities[:count]
        ids = {entity.id for entity in entities}
        within = [r for r in self.relationships if r.ref.source_id in ids and r.ref.target_id in ids]
        return Documents(entities, within)


def read_documents(count: int) -> Documents:
    """
    Read documented packages, topics, READMEs and code of this Python environment: `count`, or all there are.

    Events are left out: their time is embedded beside their text, so one update would not be one text.
    """
    entities: list[Entity] = []
    relationships: list[Relationship] = []
    ids: set[str] = set()
    for item in read_environment():
        if isinstance(item, Relationship):
            if item.ref.source_id in ids and item.ref.target_id in ids:
                relationships.append(item)
        elif len(entities) >= count:
            break
        elif item.type != "Event" and item.properties.get("description"):
            entities.append(_shortened(item))
            ids.add(item.id)
    if len(entities) < 10:
        raise ConfigError(f"this Python environment has only {len(entities)} documented entities: nothing to measure")
    return Documents(entities, relationships)


def _shortened(entity: Entity) -> Entity:
    """Return the entity with the first paragraph of its description: about what a personal graph says of a thing."""
    kept = {name: entity.properties[name] for name in _KEPT if name in entity.properties}
    paragraph = str(entity.properties["description"]).partition("\n\n")[0]
    return Entity(
        entity.id, entity.type, {**kept, "description": excerpt(paragraph, DESCRIPTION_SIZE_MAX), UNREAD: 0}
    )


class Edits:
    """Edits of which no two lead to the same text, so that no cache can answer for the model."""

    def __init__(self) -> None:
        self._serial = 0

    def reword(self, entity: Entity) -> Properties:
        """Return a change of the text; it stands in front, where no model cuts it off."""
        self._serial += 1
        return {"description": f"Edit {self._serial}. {entity.properties['description']}"}

    def touch(self) -> Properties:
        """Return a change that no text shows."""
        self._serial += 1
        return {UNREAD: self._serial}


def write_config(directory: Path, documents: Documents, model: str) -> None:
    """Write the `slipstream.toml` of a PKG for these documents: one view a type, everything else the default."""
    types = sorted({entity.type for entity in documents.entities})
    views = "".join(f"[views.{name}]\ntemplate = {json.dumps(TEMPLATE)}\n" for name in types)
    directory.mkdir(parents=True)
    (directory / CONFIG_NAME).write_text(f"[models]\ndefault = {json.dumps(model)}\n{views}", encoding="utf-8")


def write_dump(path: Path, documents: Documents) -> None:
    """Write the documents as a dump for `slipstream import`."""
    with path.open("w", encoding="utf-8") as file:
        for row in _rows(documents):
            file.write(json.dumps(row, default=_as_text) + "\n")


def _rows(documents: Documents) -> Iterator[dict[str, object]]:
    types = {entity.id: entity.type for entity in documents.entities}
    for entity in documents.entities:
        properties = {**entity.properties, "id": entity.id}
        yield {"type": "node", "id": entity.id, "labels": [entity.type], "properties": properties}
    for number, relationship in enumerate(documents.relationships):
        source, target = relationship.ref.source_id, relationship.ref.target_id
        yield {
            "type": "relationship",
            "id": str(number),
            "label": relationship.ref.type,
            "properties": dict(relationship.properties),
            "start": {"id": source, "labels": [types[source]], "properties": {"id": source}},
            "end": {"id": target, "labels": [types[target]], "properties": {"id": target}},
        }


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise ConfigError(f"a {type(value).__name__} can not stand in a dump")


def mean_size(texts: Iterable[str]) -> int:
    """Return the mean number of characters."""
    sizes = [len(text) for text in texts]
    return round(sum(sizes) / max(1, len(sizes)))
