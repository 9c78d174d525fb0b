"""The workloads that need a process of their own: `python -m slipstream.bench.child WORKLOAD DIRECTORY [DUMP]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from slipstream.app.composition import open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.bench.documents import Edits
from slipstream.bench.machine import peak_rss_mb
from slipstream.bench.subject import BenchmarkError, batches, commit_updates
from slipstream.domain.entities import EntityState
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.events.importing import Importer

_PAGE = 1_000


def main() -> None:
    """Run the workload that the arguments name."""
    workload, directory, *rest = sys.argv[1:]
    if workload == "startup":
        start_up(Path(directory))
    else:
        use_memory(Path(directory), Path(rest[0]))


def start_up(directory: Path) -> None:
    """Open a PKG and say so on standard output when it is ready, and again when a search is answered."""
    with open_pkg(directory) as pkg:
        pkg.sync.drain()
        _say({"ready": True})
        hits = pkg.search("open a file", after=pkg.pkg.feed.head()).hits
        _say({"hits": len(hits)})


def use_memory(directory: Path, dump: Path) -> None:
    """Import, change every entity, verify; then say how much memory that took at its peak."""
    with open_pkg(directory) as pkg:
        Importer(pkg.pkg, pkg.journal, pkg.dead_letters, pkg.clock).run(dump)
        pkg.sync.drain()
        _change_all(pkg)
        pkg.sync.drain()
        if not pkg.verify(hurry=True).is_consistent:
            raise BenchmarkError("graph and index differ after the memory workload")
    _say({"peak_rss_mb": peak_rss_mb()})


def _change_all(pkg: Slipstream) -> None:
    edits = Edits()
    for page in batches(_entity_keys(pkg), _PAGE):
        states = pkg.pkg.read(page, {}).states.values()
        entities = [state.entity for state in states if isinstance(state, EntityState)]
        commit_updates(pkg.pkg, [(entity.id, edits.reword(entity)) for entity in entities])


def _entity_keys(pkg: Slipstream) -> list[RecordKey]:
    keys: list[RecordKey] = []
    after: RecordKey | None = None
    while rows := pkg.pkg.scan(after, _PAGE):
        keys.extend(row.key for row in rows if row.key.kind is KeyKind.ENTITY)
        after = rows[-1].key
    return keys


def _say(fact: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
