"""Node-link JSON as NetworkX writes it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.importers.case import Case
from tests.importers.cases.graphml import CASE as SAME
from tests.unit.importers.graph_files import GRAPHS

REAL = (GRAPHS / "node-link-edges.json").read_text()


def _write(folder: Path, text: str = REAL) -> list[Path]:
    path = folder / "letters.json"
    path.write_text(text)
    return [path]


def _without_engine() -> str:
    data = json.loads(REAL)
    data["nodes"] = [node for node in data["nodes"] if node["id"] not in ("engine", 1)]
    data["edges"] = [edge for edge in data["edges"] if edge["target"] not in ("engine", 1)]
    return json.dumps(data)


CASE = Case(
    write=_write,
    shorter=lambda folder: _write(folder, _without_engine()),
    gone=SAME.gone,
    damaged={
        "cut short": lambda folder: _write(folder, REAL[:-200]),
        "two ids that look alike": lambda folder: _write(folder, REAL.replace('"id": "ada"', '"id": "1"')),
        "an edge without an end": lambda folder: _write(folder, REAL.replace('"target": "engine"', '"to": "engine"')),
    },
    entities={
        **SAME.entities,
        "ada": ("Person", {**SAME.entities["ada"][1], "of": {"place": "London", "since": None}}),
        "engine": ("Machine", {"name": "Analytical Engine", "parts": ["mill", "store"]}),
    },
    relationships=SAME.relationships,
)
