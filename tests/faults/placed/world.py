"""What the workloads commit, and what the graph holds then: reckoned without the product."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from slipstream.ports.graph import GraphTransaction

BASE_PEOPLE, BATCH_PEOPLE, DUMP_PEOPLE = 24, 40, 18
LONG = " ".join(f"harbour{number}" for number in range(160))
POISON = "poison"
"""A text with this word is refused by the model until it is cured."""


class Op(NamedTuple):
    """One mutation. `n` of an entity says in which commit it was changed last, and is kept with its vector."""

    what: str
    id: str
    type: str = ""
    other: str = ""
    properties: Mapping[str, Any] = {}
    key: str = ""


Commit = Sequence[Op]


@dataclass(frozen=True)
class Graph:
    """Entities by id, and relationships by (source, type, target, key)."""

    entities: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    related: Mapping[tuple[str, str, str, str], Mapping[str, Any]] = field(default_factory=dict)

    def after(self, commit: Commit) -> Graph:
        """Return the graph behind a commit."""
        entities, related = dict(self.entities), dict(self.related)
        for op in commit:
            match op.what:
                case "put":
                    entities[op.id] = op.type, op.properties
                case "update":
                    type_name, properties = entities[op.id]
                    entities[op.id] = type_name, {**properties, **op.properties}
                case "delete":
                    del entities[op.id]
                    related = {ends: held for ends, held in related.items() if op.id not in (ends[0], ends[2])}
                case "relate":
                    related[op.id, op.type, op.other, op.key] = op.properties
                case _:
                    del related[op.id, op.type, op.other, op.key]
        return Graph(entities, related)

    def text(self) -> str:
        """Return it as one line that two equal graphs have in common."""
        ends = {"|".join(ends): held for ends, held in self.related.items()}
        return json.dumps([self.entities, ends], sort_keys=True)


def write(tx: GraphTransaction, commit: Commit) -> None:
    """Do a commit's mutations; doing them again changes nothing."""
    for op in commit:
        match op.what:
            case "put":
                tx.upsert_entity(op.type, op.id, op.properties)
            case "update":
                tx.update_entity(op.id, op.properties)
            case "delete":
                tx.delete_entity(op.id)
            case "relate":
                tx.relate(op.id, op.type, op.other, op.properties, replace=True, discriminator=op.key)
            case _:
                tx.unrelate(f"{op.type}:{op.id}:{op.other}")


def person(identity: str, n: int, text: str = "", **more: Any) -> Op:
    """Return the mutation that makes a person, or makes them anew."""
    return Op("put", identity, "Person", properties={"name": f"name of {identity}", "text": text, "n": n, **more})


def knows(source: str, target: str, n: int = 0) -> Op:
    """Return the mutation that relates two people."""
    return Op("relate", source, "KNOWS", target, {"since": n})


def _base() -> list[Commit]:
    names = [f"p{number}" for number in range(BASE_PEOPLE)]
    parts = [names[start : start + 8] for start in range(0, BASE_PEOPLE, 8)]
    made: list[Commit] = [[person(name, 0, f"first words of {name}") for name in part] for part in parts]
    return [*made, [knows(name, following) for name, following in pairwise(names)]]


BASE = _base()
"""What every PKG holds at first."""

COMMITS: list[Commit] = [
    [person("a", 1, "new here"), knows("a", "p0")],
    [Op("update", "p1", properties={"text": "other words", "n": 2})],
    [person("b", 3, "one more", colour="blue"), knows("b", "a")],
    [Op("delete", "p2")],
    [Op("update", "p0", properties={"name": "shown in the texts of others", "n": 5})],
    [person(f"c{number}", 6, f"{LONG} {number}") for number in range(BATCH_PEOPLE)],
    [Op("unrelate", "p5", "KNOWS", "p6"), Op("put", "p7", "Place", properties={"name": "a place now", "n": 7})],
    [Op("delete", f"c{number}") for number in range(0, BATCH_PEOPLE, 2)],
    [person("p2", 9, "back again"), Op("update", "a", properties={"text": "at last", "n": 9})],
]
"""Small ones, one of 60 KB, deletions, other texts for neighbours, an entity of another type, one that comes back."""

BESIDE: list[Commit] = [
    [Op("update", "p3", properties={"text": "while it is built", "n": 1}), Op("delete", "p4")],
    [person("late", 2, "between two swaps"), knows("late", "p0")],
    [Op("update", "late", properties={"text": "behind them", "n": 3})],
]
"""What is committed beside migrations, repairs and backups."""

GHOST: Commit = [person("ghost", 1, "whom the dump only names")]
SICK: Commit = [person("sick", 2, f"a {POISON} that no model takes")]
HAUNTED = Op("relate", "d0", "KNOWS", "ghost", {"since": 99}, "ghostly")


def dump() -> tuple[list[Op], list[Op], list[str]]:
    """Return what a dump brings, entities and then relationships, and its lines, three of them bad."""
    people = [
        Op("put", f"d{n}", "Person", properties={"name": f"dumped {n}", "text": f"words {n}", "n": 1})
        for n in range(DUMP_PEOPLE)
    ]
    ties = [Op("relate", f"d{n}", "KNOWS", f"d{n + 1}", {"since": n}, f"r{n}") for n in range(DUMP_PEOPLE - 1)]
    lines = [json.dumps(_node(op)) for op in people] + [json.dumps(_tie(op)) for op in ties]
    lines[4:4] = ["{no JSON", json.dumps({"type": "node", "id": "x", "labels": [7]})]
    return people, ties, [*lines, json.dumps(_tie(HAUNTED))]


def write_dump(path: Path) -> None:
    """Write the dump to a file."""
    path.write_text("".join(f"{line}\n" for line in dump()[2]))


def _node(op: Op) -> dict[str, Any]:
    return {"type": "node", "id": op.id, "labels": [op.type], "properties": {"id": op.id, **op.properties}}


def _tie(op: Op) -> dict[str, Any]:
    properties = {"id": op.key, **op.properties}
    return {
        "type": "relationship",
        "id": op.key,
        "label": op.type,
        "properties": properties,
        "start": _end(op.id),
        "end": _end(op.other),
    }


def _end(entity_id: str) -> dict[str, Any]:
    return {"id": entity_id, "labels": ["Person"], "properties": {"id": entity_id}}
