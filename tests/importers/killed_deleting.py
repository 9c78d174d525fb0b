"""The process that is killed while it deletes: after the first page of what its source no longer states."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from slipstream.domain.fences import Fence
from slipstream.events import statements
from slipstream.importers.rows import EntityRow
from slipstream.ports.graph import GraphTransaction
from tests.importers.given import Given
from tests.importers.world import opened

PAGE = 7


def main(directory: Path, plan: str) -> None:
    """Import less than before, and die after some pages."""
    delete, done = statements._delete, 0

    def counting(tx: GraphTransaction, fence: Fence) -> bool:
        nonlocal done
        done += 1
        if done > 3 * PAGE:
            os.kill(os.getpid(), signal.SIGKILL)
        return delete(tx, fence)

    vars(statements).update(_delete=counting, _DELETED_AT_A_TIME=PAGE)
    with opened(directory) as slip:
        ada = EntityRow("ada", "Person", {"name": "Ada"})
        slip.import_from(Given([ada]), replace_source="hr", confirm=plan)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
