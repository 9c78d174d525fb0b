"""The self-check of an embedded Chroma directory: a separate process looks at its database."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from slipstream.adapters.indexes.chroma import looking
from slipstream.adapters.indexes.chroma.errors import mapped_errors
from slipstream.domain.damage import Damage
from slipstream.domain.errors import UnavailableError
from slipstream.domain.positions import Position

_DATABASE = "chroma.sqlite3"
_TIMEOUT_S = 3600.0


class ChromaSelfCheck:
    """
    A `SelfCheck` of a directory; `offline` closes the client for the time of a block.

    HNSW's content is not checked here: an audit reads the vector of every record, and a lost one counts as corrupt.
    """

    def __init__(self, directory: Path, offline: Callable[[], AbstractContextManager[None]]) -> None:
        self._path, self._offline = directory / _DATABASE, offline

    @property
    def store(self) -> str:
        """The name of the store."""
        return looking.STORE

    def check(self, *, deep: bool, head: Callable[[], Position]) -> Sequence[Damage]:
        """Have another process look, and return the damage; positions are in the stamps, which audits read."""
        del head
        command = [sys.executable, "-m", looking.__name__, str(self._path), "deep" if deep else "cheap"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)  # noqa: S603
            said = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            detail = getattr(error, "stderr", None) or str(error)
            raise UnavailableError(f"{self._path} could not be looked at ({detail.strip()}); try again") from error
        if "busy" in said:
            raise UnavailableError(f"{self._path}: {said['busy']}: somebody writes to it for long; try again")
        return [Damage.of(data) for data in said["damage"]]

    def mend(self, damage: Damage, *, head: Callable[[], Position]) -> bool:
        """Close the client, mend one place, and open it again."""
        del head
        with self._offline(), mapped_errors(str(self._path)):
            return looking.mend(self._path, damage.place)
