"""The process that is killed amid an erasure."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from slipstream.adapters.wrappers.faults import kill_at
from tests.integration.erasure_world import ID, faulty, opened, options


def main(root: str, adapter: str, failpoint: str, count: str) -> None:
    """Erase, and die at the failpoint."""
    with opened(Path(root), adapter, options(wrapping=faulty(kill_at(failpoint, int(count))))) as slip:
        slip.erase(ID, with_neighbours_text=True)
    os.write(1, b"done\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
