"""
Imports a generated graph file of many rows in a process of its own, and tells the time, and how much memory it took.

    python -m bench.import_graphs --rows 1000000 --format graphml
    python -m bench.import_graphs --rows 1000000 --format node-link

Half of the rows are nodes, half are edges. The engine stands still: what is measured is reading and the graph. The
second import of the same file must change nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from slipstream.app.composition import Options, open_pkg
from slipstream.testkit.embedders import HashEmbedder

_KEYS = (
    ("d0", "node", "type", "string"),
    ("d1", "node", "name", "string"),
    ("d2", "node", "born", "long"),
    ("d3", "edge", "type", "string"),
    ("d4", "edge", "weight", "double"),
)


def graphml(nodes: int) -> Iterator[str]:
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


def node_link(nodes: int) -> Iterator[str]:
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


FORMATS = {"graphml": graphml, "node-link": node_link}


def imported(folder: Path, file: Path, name: str) -> None:
    """Import a file twice into a new PKG, and print what that took; the child's part."""
    options = Options(embedders=(HashEmbedder(dimension=8),))
    with open_pkg(folder / "pkg", create=True, run=False, options=options) as slip:
        before_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        positions = []
        for turn in ("first", "second"):
            began, spent = time.monotonic(), time.process_time()
            report = slip.import_files(file, format=name)
            positions.append(int(report.position))
            told = {
                "import": turn,
                "format": name,
                "file_mb": round(file.stat().st_size / 1e6, 1),
                "entities": report.entities,
                "relationships": report.relationships,
                "rejected": report.rejected,
                "seconds": round(time.monotonic() - began, 1),
                "cpu_seconds": round(time.process_time() - spent, 1),
                "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "rss_before_mib": before_mib,
            }
            print(json.dumps(told), flush=True)
    assert positions[0] == positions[1], "the second import changed something"


def main() -> None:
    """Write the file, and have a child import it."""
    parser = argparse.ArgumentParser(description="Import a generated graph file.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", choices=sorted(FORMATS), default="graphml")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        imported(Path(asked.child[0]), Path(asked.child[1]), asked.format)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph"
        with file.open("w", encoding="utf-8") as stream:
            stream.writelines(FORMATS[asked.format](asked.rows // 2))
        child = ("--format", asked.format, "--child", folder, str(file))
        subprocess.run([sys.executable, "-m", "bench.import_graphs", *child], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
