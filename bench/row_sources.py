"""Sources of many rows for `bench.import_rows`: for each format what writes one, and what it is imported with."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from slipstream.importers.options import ReadOptions, Relate

Write = Callable[[Path, int], Sequence[Path]]

_KEYS = (
    ("d0", "node", "type", "string"),
    ("d1", "node", "name", "string"),
    ("d2", "node", "born", "long"),
    ("d3", "edge", "type", "string"),
    ("d4", "edge", "weight", "double"),
)


def _csv(folder: Path, rows: int) -> Sequence[Path]:
    path = folder / "Person.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,name,note,born,boss\n")
        for number in range(rows):
            note = '"one, two\nand ""three"""' if number % 100 == 0 else f"note of {number}"
            file.write(f"p{number},Person {number},{note},{1900 + number % 100},\n")
    return [path]


def _neo4j(folder: Path, rows: int) -> Sequence[Path]:
    nodes, relationships = folder / "nodes.csv", folder / "relationships.csv"
    with nodes.open("w", encoding="utf-8") as file:
        file.write("id:ID(Person),name,born:int,tags:string[],:LABEL\n")
        file.writelines(f"{number},Person {number},{1900 + number % 100},a;b,Person\n" for number in range(rows // 2))
    with relationships.open("w", encoding="utf-8") as file:
        file.write(":START_ID(Person),:END_ID(Person),since:int,:TYPE\n")
        half = rows // 2
        file.writelines(f"{number},{number * 7 % half},{number % 100},KNOWS\n" for number in range(half))
    return [nodes, relationships]


def _rdf(folder: Path, rows: int) -> Sequence[Path]:
    path = folder / "terms.ttl"
    # In a process of its own: the ontology that the terms are from takes more memory than the import.
    subprocess.run([sys.executable, "-m", "bench.rdf_terms", str(rows), str(path)], check=True)  # noqa: S603
    return [path]


def _graphml(folder: Path, rows: int) -> Sequence[Path]:
    return _streamed(folder / "graph.graphml", _graphml_of(rows // 2))


def _graphml_of(nodes: int) -> Iterator[str]:
    """Yield a GraphML file, as NetworkX writes one."""
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    for key, kind, name, type_name in _KEYS:
        yield f'<key id="{key}" for="{kind}" attr.name="{name}" attr.type="{type_name}"/>\n'
    yield '<graph edgedefault="directed">\n'
    for at in range(nodes):
        yield f'<node id="person-{at}"><data key="d0">Person</data><data key="d1">Person number {at}</data>'
        yield f'<data key="d2">{1800 + at % 200}</data></node>\n'
    for at in range(nodes):
        yield f'<edge source="person-{at}" target="person-{(at * 7 + 1) % nodes}"><data key="d3">KNOWS</data>'
        yield f'<data key="d4">{at / nodes}</data></edge>\n'
    yield "</graph></graphml>\n"


def _node_link(folder: Path, rows: int) -> Sequence[Path]:
    return _streamed(folder / "graph.json", _node_link_of(rows // 2))


def _node_link_of(nodes: int) -> Iterator[str]:
    """Yield node-link JSON, as NetworkX writes it."""
    yield '{"directed": true, "multigraph": false, "graph": {}, "nodes": ['
    for at in range(nodes):
        node = {"type": "Person", "name": f"Person number {at}", "born": 1800 + at % 200, "id": f"person-{at}"}
        yield (", " if at else "") + json.dumps(node)
    yield '], "edges": ['
    for at in range(nodes):
        target = f"person-{(at * 7 + 1) % nodes}"
        edge = {"type": "KNOWS", "weight": at / nodes, "source": f"person-{at}", "target": target}
        yield (", " if at else "") + json.dumps(edge)
    yield "]}\n"


def _streamed(path: Path, text: Iterator[str]) -> Sequence[Path]:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(text)
    return [path]


SOURCES: dict[str, tuple[Write, ReadOptions]] = {
    "csv": (_csv, ReadOptions(columns=(("born", "integer"),), relate=(Relate("boss", "REPORTS_TO", "Person"),))),
    "neo4j": (_neo4j, ReadOptions()),
    "graphml": (_graphml, ReadOptions()),
    "node-link": (_node_link, ReadOptions()),
    "rdf": (_rdf, ReadOptions()),
}
"""By the name of the format. A row of rdf is a triple; half of the rows of neo4j, graphml and node-link are edges."""
