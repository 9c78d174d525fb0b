"""GraphML as NetworkX writes it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.importers.case import Case
from tests.unit.importers.graph_files import GRAPHS

REAL = (GRAPHS / "networkx.graphml").read_text()


def _write(folder: Path, text: str = REAL) -> list[Path]:
    path = folder / "letters.graphml"
    path.write_text(text)
    return [path]


def _without_engine() -> str:
    text = re.sub(r'<node id="(?:engine|1)">.*?</node>', "", REAL, flags=re.DOTALL)
    return re.sub(r'<edge source="[^"]+" target="(?:engine|1)"(?:[^>]*/>|.*?</edge>)', "", text, flags=re.DOTALL)


CASE = Case(
    write=_write,
    shorter=lambda folder: _write(folder, _without_engine()),
    gone=frozenset({"engine", "1"}),
    damaged={
        "cut short": lambda folder: _write(folder, REAL[:-200]),
        "a hyperedge": lambda folder: _write(folder, REAL.replace("</graph>", "<hyperedge/></graph>")),
        "an entity": lambda folder: _write(
            folder, REAL.replace("<graphml", '<!DOCTYPE g [<!ENTITY a "b">]><graphml')
        ),
        "no GraphML": lambda folder: _write(folder, "<gexf/>"),
    },
    entities={
        "ada": ("Person", {"name": "Ada Lovelace", "born": 1815, "known": True}),
        "babbage": ("Person", {"name": "Charles <Babbage> & Son", "born": 1791, "score": 0.5}),
        "engine": ("Machine", {"name": "Analytical Engine", "parts": "25000"}),
        "1": ("Entity", {"name": "the number"}),
    },
    relationships=frozenset(
        {
            "WROTE_TO:ada:babbage",
            "WROTE_TO:ada:babbage:1",
            "WROTE_TO:ada:babbage:by hand",
            "DESCRIBED:ada:engine:note-g",
            "BUILT:babbage:engine",
            "RELATED_TO:engine:1",
        }
    ),
)
