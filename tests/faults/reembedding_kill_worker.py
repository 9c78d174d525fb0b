"""The process that is killed while it embeds selected records anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from slipstream.adapters.wrappers.faults import kill_at
from slipstream.evolution.selector import ReembeddingSelector
from tests.faults.migration_kill_worker import open_for_test

REASON = "killed"
EVERYTHING = ReembeddingSelector(schema_version=1_000)


def main() -> None:
    """Embed everything anew until the failpoint ends it."""
    root, adapter, failpoint, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    slip = open_for_test(root, adapter, kill_at(failpoint, count))
    slip.sync.engine.intake_stage.selections.add(EVERYTHING, REASON, force=True, page_size=16)
    os.write(1, b"kept")
    slip.reembedding.resume()
    os._exit(4)  # the failpoint was never reached: the test says so


if __name__ == "__main__":
    main()
