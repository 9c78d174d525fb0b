"""Dumps as APOC writes them."""

from __future__ import annotations

import json
from pathlib import Path

from slipstream.domain.keys import RelationshipRef
from slipstream.events.formats.dump import node_row, relationship_row
from tests.importers.case import Case

NAMES = {"ada": "Ada", "bab": "Charles", "lov": "Byron"}
REFS = [RelationshipRef("KNOWS", "ada", "bab"), RelationshipRef("CHILD_OF", "ada", "lov")]


def _write(folder: Path, names: dict[str, str], refs: list[RelationshipRef]) -> list[Path]:
    path = folder / "graph.jsonl"
    rows = [node_row(entity_id, "Person", {"name": name}) for entity_id, name in names.items()]
    rows += [relationship_row(ref, ("Person", "Person"), {}) for ref in refs]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [path]


def _cut(folder: Path) -> list[Path]:
    path = _write(folder, NAMES, REFS)[0]
    path.write_text(path.read_text()[:-30])
    return [path]


CASE = Case(
    write=lambda folder: _write(folder, NAMES, REFS),
    shorter=lambda folder: _write(folder, {"ada": "Ada", "bab": "Charles"}, REFS[:1]),
    gone=frozenset({"lov"}),
    damaged={"cut": _cut},
    entities={entity_id: ("Person", {"name": name}) for entity_id, name in NAMES.items()},
    relationships=frozenset(ref.id for ref in REFS),
)
