"""The process that the demo kills: commits edits as fast as it can and acknowledges each on standard output."""

from __future__ import annotations

import os
import sys

from slipstream.bootstrap import open_pkg
from slipstream.corpus.edits import live_edits
from slipstream.demo.editing import apply_edit
from slipstream.domain.entities import Entity, EntityState
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.service.slipstream import Slipstream


def entities_of(slip: Slipstream) -> list[Entity]:
    """Return the entities of a graph, in key order."""
    entities: list[Entity] = []
    after: RecordKey | None = None
    while page := slip.pkg.scan(after, 1_000):
        states = slip.pkg.read([row.key for row in page if row.key.kind is KeyKind.ENTITY], {}).states
        entities.extend(state.entity for state in states.values() if isinstance(state, EntityState))
        after = page[-1].key
    return sorted(entities, key=lambda entity: entity.id)


def main() -> None:
    """Edit until killed."""
    with open_pkg(sys.argv[1]) as slip:
        for edit in live_edits(entities_of(slip), seed=int(sys.argv[2])):
            position = apply_edit(slip.pkg, edit)
            os.write(1, f"{position}\n".encode())


if __name__ == "__main__":
    main()
