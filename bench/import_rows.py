"""
Imports of a generated source of many rows, each in a process of its own: how long they take, and their peak memory.

    python -m bench.import_rows                          # every format, written to bench/results
    python -m bench.import_rows csv rdf --rows 100000    # to see that it works: printed only

A tenth of the rows is imported too, so that one sees whether memory grows with the rows; and each source a second
time, which must change nothing. The engine stands still: what is measured is the reader and the graph.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.result_files import interruptible, say, write_result
from bench.row_sources import SOURCES
from slipstream.app.composition import Options, open_pkg
from slipstream.bench.machine import load_average, peak_rss_mb
from slipstream.testkit.embedders import HashEmbedder


def main() -> None:
    """Import a tenth, then all, of each format."""
    parser = argparse.ArgumentParser(prog="python -m bench.import_rows", description="Imports of many rows.")
    parser.add_argument("formats", nargs="*", help=f"of {', '.join(SOURCES)} (default: all, and written to a file)")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--child", nargs="+", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(_imported(options.formats[0], options.child[0], options.child[1:])))
        return
    with interruptible("slipstream-import-rows-") as folder:
        load_before = load_average()
        runs = [
            _in_process(folder, name, rows)
            for name in options.formats or SOURCES
            for rows in (options.rows // 10, options.rows)
        ]
        if not options.formats:
            say(f"written: {write_result('import-rows', {'load_before': load_before, 'runs': runs}, folder)}")


def _in_process(folder: Path, name: str, rows: int) -> Mapping[str, Any]:
    say(f"{name}, {rows:,} rows")
    place = folder / f"{name}-{rows}"
    place.mkdir()
    paths = SOURCES[name][0](place, rows)
    command = [sys.executable, "-m", "bench.import_rows", name, "--child", str(place), *map(str, paths)]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603
    run = {"format": name, "rows": rows, **json.loads(told)}
    print(json.dumps(run), flush=True)
    return run


def _imported(name: str, folder: Path, paths: Sequence[Path]) -> Mapping[str, Any]:
    """Import a source twice into a new PKG; the child's part."""
    options = Options(embedders=(HashEmbedder(dimension=8),))
    with open_pkg(folder / "pkg", create=True, run=False, options=options) as slip:
        before_mb = peak_rss_mb()
        reports, taken_s, spent_s, heads = [], [], [], []
        for _ in range(2):
            began, spent = time.perf_counter(), time.process_time()
            reports.append(slip.import_files(*paths, format=name, options=SOURCES[name][1]))
            taken_s.append(time.perf_counter() - began)
            spent_s.append(time.process_time() - spent)
            heads.append(slip.pkg.feed.head())
    assert not any(report.rejected for report in reports), reports
    assert heads[0] == heads[1], "the second import changed something"
    return {
        "source_mb": sum(path.stat().st_size for path in paths) / 1e6,
        "entities": reports[0].entities,
        "relationships": reports[0].relationships,
        "seconds": taken_s[0],
        "cpu_seconds": spent_s[0],
        "again_cpu_seconds": spent_s[1],
        "before_mb": before_mb,
        "peak_rss_mb": peak_rss_mb(),
    }


if __name__ == "__main__":
    main()
