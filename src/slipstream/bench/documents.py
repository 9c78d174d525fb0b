"""The input: the Human Phenotype Ontology as a graph, views that show neighbours, and edits that give new texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipstream.app.config import CONFIG_NAME
from slipstream.bench.hpo import PHENOTYPES_MAX, read_hpo
from slipstream.domain.entities import Entity, Properties, Relationship
from slipstream.views.declaration import Via, View

NOTE = "note"
"""A property that the entity's own text shows, and no neighbour's."""
UNREAD = "reads"
"""A property that no view reads."""
_TEMPLATE = (
    "{{ name }}{% if note %} ({{ note }}){% endif %}"
    "{% if shown %}, WORDS {{ shown|map(attribute='name')|join('; ') }}{% endif %}"
)
_SHOWN = {
    "Phenotype": ("IS_A", "a kind of", 5),
    "Gene": ("HAS_PHENOTYPE", "with", PHENOTYPES_MAX),
    "Disease": ("HAS_PHENOTYPE", "with", PHENOTYPES_MAX),
}
"""Of each type: the relationship whose targets its text names, in which words, and at most how many."""


def views(words: str = "") -> tuple[View, ...]:
    """Return a view for each type, each with neighbours; with `words` at their beginning they are other texts."""
    return tuple(
        View(name, words + _TEMPLATE.replace("WORDS", said), {"shown": Via(relationship, limit=limit)})
        for name, (relationship, said, limit) in _SHOWN.items()
    )


@dataclass(frozen=True, slots=True)
class Documents:
    """Entities, and the relationships between them."""

    entities: Sequence[Entity]
    relationships: Sequence[Relationship]

    def first(self, count: int) -> Documents:
        """Return the first entities only, and the relationships between those."""
        entities = self.entities[:count]
        ids = {entity.id for entity in entities}
        within = [r for r in self.relationships if r.ref.source_id in ids and r.ref.target_id in ids]
        return Documents(entities, within)


def read_documents(count: int) -> Documents:
    """Read so many entities of the ontology and the relationships between them; past its size, copies follow."""
    entities: list[Entity] = []
    relationships: list[Relationship] = []
    for item in read_hpo():
        if isinstance(item, Relationship):
            relationships.append(item)
        elif len(entities) == count:
            break
        else:
            entities.append(Entity(item.id, item.type, {**item.properties, UNREAD: 0}))
    return Documents(entities, relationships)


class Edits:
    """Edits of which no two lead to the same text, so that no cache can answer for the model."""

    def __init__(self) -> None:
        self._serial = 0

    def reword(self, entity: Entity) -> Properties:
        """Return a change that the entity's own text shows, and no other one."""
        self._serial += 1
        return {NOTE: f"edit {self._serial} of {entity.properties['name']}"}

    def touch(self) -> Properties:
        """Return a change that no text shows."""
        self._serial += 1
        return {UNREAD: self._serial}


def write_config(directory: Path, model: str) -> None:
    """Write the `slipstream.toml` of a PKG for these documents: a view for each type, everything else the default."""
    sections = [f"[models]\ndefault = {json.dumps(model)}\n"]
    for view in views():
        sections.append(f"[views.{view.type}]\ntemplate = {json.dumps(view.template)}\n")
        for name, via in view.via.items():
            told = f"relationship = {json.dumps(via.relationship_type)}\nlimit = {via.limit}\n"
            sections.append(f"[views.{view.type}.via.{name}]\n{told}")
    directory.mkdir(parents=True)
    (directory / CONFIG_NAME).write_text("".join(sections), encoding="utf-8")


def write_dump(path: Path, documents: Documents) -> None:
    """Write the documents as a dump for `slipstream import`."""
    with path.open("w", encoding="utf-8") as file:
        for row in _rows(documents):
            file.write(json.dumps(row) + "\n")


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


def mean_size(texts: Iterable[str]) -> int:
    """Return the mean number of characters."""
    sizes = [len(text) for text in texts]
    return round(sum(sizes) / max(1, len(sizes)))
