"""
Imports a generated source of many rows in a process of its own, and tells how long it took, and its peak memory.

    python -m bench.import_rows csv --rows 1000000
    python -m bench.import_rows neo4j --rows 1000000

A tenth of the rows is imported first, in another process, so that one sees whether memory grows with the rows. The
engine stands still: what is measured is the reader and the graph. Of neo4j half of the rows are relationships; a row
of rdf is a triple of the Human Phenotype Ontology. A format is a function in `FORMATS` that writes a source, and what
it is imported with.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say
from slipstream.app.composition import Options, open_pkg
from slipstream.importers.options import ReadOptions, Relate
from slipstream.testkit.embedders import HashEmbedder

Write = Callable[[Path, int], Sequence[Path]]


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


FORMATS: dict[str, tuple[Write, ReadOptions]] = {
    "csv": (_csv, ReadOptions(columns=(("born", "integer"),), relate=(Relate("boss", "REPORTS_TO", "Person"),))),
    "neo4j": (_neo4j, ReadOptions()),
    "rdf": (_rdf, ReadOptions()),
}


def main() -> None:
    """Import a tenth, then all, each in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m bench.import_rows", description="Imports of many rows.")
    parser.add_argument("format", choices=FORMATS)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        print(json.dumps(_imported(options.folder, options.format, options.rows)))
        return
    with interruptible("slipstream-import-rows-") as folder:
        for rows in (options.rows // 10, options.rows):
            place = folder / str(rows)
            place.mkdir()
            say(f"{rows:,} rows")
            _in_process(place, options.format, rows)


def _in_process(place: Path, name: str, rows: int) -> None:
    command = [sys.executable, "-m", "bench.import_rows", name, "--rows", str(rows), "--in", str(place)]
    process = subprocess.Popen(command)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"the import of {rows:,} rows failed")
    print(f"peak memory {usage.ru_maxrss / 1024:,.0f} MB", flush=True)


def _imported(folder: Path, name: str, rows: int) -> dict[str, Any]:
    write, options = FORMATS[name]
    paths = write(folder, rows)
    with open_pkg(
        folder / "pkg", create=True, run=False, options=Options(embedders=(HashEmbedder(dimension=8),))
    ) as slip:
        began = time.perf_counter()
        report = slip.import_files(*paths, options=options)
        taken_s = time.perf_counter() - began
        position = slip.pkg.feed.head()
        again = slip.import_files(*paths, options=options)
    assert (report.rejected, again.rejected) == (0, 0), report.errors
    assert again.position == position, "the second import changed something"
    return {
        "format": name,
        "source_mb": round(sum(path.stat().st_size for path in paths) / 1e6, 1),
        "entities": report.entities,
        "relationships": report.relationships,
        "seconds": round(taken_s, 1),
        "rows_per_s": round(rows / taken_s),
    }


if __name__ == "__main__":
    main()
