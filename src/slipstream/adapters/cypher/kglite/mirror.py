"""The graph in kglite: filled, brought up to date, and queried. Runs in the child process."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import kglite

from slipstream.adapters.cypher.kglite.converting import stored_properties
from slipstream.adapters.cypher.kglite.source import BATCH, EntityRow, RelationshipKey, RelationshipRow
from slipstream.domain.keys import RelationshipRef

_SCAN_FROM = 16
"""From so many changed relationships of one type on, one scan of that type finds them."""
_UNKNOWN_PROPERTY = re.compile(r"Unknown property '")
_CREATE_NODES = "UNWIND $rows AS r CREATE (n:$label) SET n = r"
_SET_NODES = "UNWIND $rows AS r MATCH (n:$label {id: r.id}) SET n = r"
_DELETE_NODES = "UNWIND $ids AS i MATCH (n:$label {id: i}) DETACH DELETE n"
_FOUND = "UNWIND $ids AS i MATCH (n:$label {id: i}) RETURN i AS id"
_LABELS = "UNWIND $ids AS i MATCH (n {id: i}) RETURN i AS id, labels(n)[0] AS label"
# With the labels of the ends, for without them kglite searches every label for the id.
_RELATE = (
    "UNWIND $rows AS r MATCH (a:$source {id: r.s}) MATCH (b:$target {id: r.t}) CREATE (a)-[x:$type]->(b) SET x = r.p"
)
_UNRELATE_SOME = "UNWIND $rows AS r MATCH (b {id: r.t})<-[x:$type {id: r.i}]-(a {id: r.s}) DELETE x"
_UNRELATE_MANY = "MATCH ()-[x:$type]->() WHERE x.id IN $ids DELETE x"


class Mirror:
    """
    Nodes and relationships of the graph file, with their ids.

    The title of a node is `marker` and its id, which kglite returns for the start and end of a relationship.
    """

    def __init__(self, marker: str, graph: Any = None) -> None:
        self.marker = marker
        self.graph: Any = kglite.KnowledgeGraph() if graph is None else graph

    @property
    def size(self) -> int:
        """How many nodes and relationships there are."""
        nodes, relationships = self.graph.shape
        return int(nodes) + int(relationships)

    def run(self, text: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement of our own."""
        rows: list[dict[str, Any]] = self.graph.cypher(text, params=parameters, timeout_ms=0).to_list()
        return rows

    # ------------------------------------------------------------------ filling

    def add_entities(self, rows: Iterable[EntityRow]) -> None:
        """Create nodes that are not there."""
        self._write_nodes(_CREATE_NODES, rows)

    def _write_nodes(self, statement: str, rows: Iterable[EntityRow]) -> None:
        by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            own = {"id": row.id, "title": self.marker + row.id}
            by_type[row.type].append(stored_properties(row.properties) | own)
        for label, nodes in by_type.items():
            for part in _parts(nodes):
                self.run(statement, rows=part, label=label)

    def add_relationships(self, rows: Iterable[RelationshipRow]) -> None:
        """Create relationships that are not there; one without both its ends is left out."""
        by_types: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            properties = stored_properties(row.properties) | {"id": row.id}
            by_types[row.source_type, row.type, row.target_type].append(
                {"s": row.source, "t": row.target, "p": properties}
            )
        for (source_type, relationship_type, target_type), found in by_types.items():
            for part in _parts(found):
                self.run(_RELATE, rows=part, source=source_type, type=relationship_type, target=target_type)

    # ------------------------------------------------------------------ following

    def labels(self, ids: Iterable[str], likely: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of the mirrored ones among the entities; tries the `likely` label of each first."""
        by_type: dict[str, list[str]] = defaultdict(list)
        for identity, label in likely.items():
            by_type[label].append(identity)
        found = {
            row["id"]: label
            for label, members in by_type.items()
            for part in _parts(members)
            for row in self.run(_FOUND, ids=part, label=label)
        }
        others = sorted(set(ids) - found.keys())
        return found | {row["id"]: row["label"] for part in _parts(others) for row in self.run(_LABELS, ids=part)}

    def put_entities(self, rows: Sequence[EntityRow], known: AbstractSet[str]) -> None:
        """Create or replace nodes; `known` are those that exist with the right label."""
        self._write_nodes(_SET_NODES, (row for row in rows if row.id in known))
        self.add_entities(row for row in rows if row.id not in known)

    def delete_entities(self, labels: Mapping[str, str]) -> None:
        """Delete nodes, given with their labels, and their relationships."""
        by_label: dict[str, list[str]] = defaultdict(list)
        for identity, label in labels.items():
            by_label[label].append(identity)
        for label, ids in by_label.items():
            for part in _parts(ids):
                self.run(_DELETE_NODES, ids=part, label=label)

    def delete_relationships(self, keys: Iterable[RelationshipKey]) -> None:
        """Delete relationships; missing ones are ignored."""
        by_type: dict[str, list[dict[str, str]]] = defaultdict(list)
        for source, relationship_type, target, key in keys:
            identity = RelationshipRef(relationship_type, source, target, key).id
            by_type[relationship_type].append({"s": source, "t": target, "i": identity})
        for relationship_type, found in by_type.items():
            if len(found) < _SCAN_FROM:
                self.run(_UNRELATE_SOME, rows=found, type=relationship_type)
            else:
                self.run(_UNRELATE_MANY, ids=[row["i"] for row in found], type=relationship_type)

    # ------------------------------------------------------------------ what a question may not trip over

    def learn(self, message: str, keys: Iterable[str]) -> bool:
        """
        Make known to kglite a property that a pattern names and no node has; return whether there was one.

        kglite refuses `(n:Person {unknown: 1})`; in Cypher the property is NULL, so that nothing matches. A property
        is known once any node has had it.
        """
        if not _UNKNOWN_PROPERTY.search(message):
            return False
        for label in self.graph.node_types:
            for key in keys:
                if f"Unknown property '{key}' on {label}." in message:
                    self._teach(label, key)
                    return True
        return False

    def _teach(self, label: str, key: str) -> None:
        teach = f"MATCH (n:$label) WITH n LIMIT 1 SET n.`{key}` = 1 REMOVE n.`{key}` RETURN 1"
        if not self.run(teach, label=label):
            own = {"id": self.marker, "title": self.marker, key: 1}
            self.run(_CREATE_NODES, rows=[own], label=label)
            self.run(_DELETE_NODES, ids=[self.marker], label=label)


def _parts(rows: Sequence[Any]) -> Iterable[list[Any]]:
    return (list(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH))
