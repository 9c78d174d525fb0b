"""The process that is killed: writes a frame in batches of two, and dies at one of its transactions."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from slipstream.app.pkg import PKG
from slipstream.integrations import bringing
from slipstream.integrations.pandas import from_frame
from tests.importers.world import opened

FRAME = pd.DataFrame({"id": list("abcd"), "name": list("ABCD"), "next": ["b", "c", "d", "x"]})
RELATE = ["next:NEXT:Letter"]
TWO_ROWS = 70
"""Bytes: two of the rows as JSON, and not three."""


def _dies_at(number: int, *, is_committed: bool) -> None:
    """Have the process die in a transaction with this number, or right behind it."""
    transaction: Any = PKG.transaction
    begun = 0

    @contextmanager
    def dying(self: PKG) -> Iterator[Any]:
        nonlocal begun
        begun += 1
        with transaction(self) as tx:
            yield tx
            if begun == number and not is_committed:
                os.kill(os.getpid(), signal.SIGKILL)
        if begun == number:
            os.kill(os.getpid(), signal.SIGKILL)

    vars(bringing)["_BATCH_SIZE"] = TWO_ROWS
    setattr(PKG, "transaction", dying)  # noqa: B010  (mypy knows methods as constants)


if __name__ == "__main__":
    _dies_at(int(sys.argv[2]), is_committed=sys.argv[3] == "behind")
    with opened(Path(sys.argv[1])) as slip:
        from_frame(slip, FRAME, entity_type="Letter", relate=RELATE)
