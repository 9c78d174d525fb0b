"""The process that is killed: imports a case's source, and dies after some of it is committed."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path

from slipstream.events.import_state import ImportProgress
from tests.importers.world import brought, opened


def die(progress: ImportProgress) -> None:
    """Die as soon as something is committed."""
    if progress.rows:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    case = importlib.import_module(f"tests.importers.cases.{sys.argv[1]}").CASE
    for name in ("slipstream.importers.importing", "slipstream.events.importing"):
        vars(importlib.import_module(name))["BATCH_BYTES"] = 1
    with opened(Path(sys.argv[2])) as slip:
        brought(slip, case, [Path(path) for path in sys.argv[3:]], replace_source="it", on_progress=die)
