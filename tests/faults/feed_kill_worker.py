"""Applies a feed to a PKG, and is killed around one of the commits."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.feed_changes import FeedOptions
from slipstream.events.applying import Applier
from slipstream.ports.graph import GraphTransaction, GraphWriter
from slipstream.testkit.embedders import HashEmbedder

FEED = FeedOptions(key_columns={"*": ("id",)})


class Dying:
    """A graph whose writer is killed in the transaction of a number, or right behind its commit."""

    def __init__(self, graph: GraphWriter, number: int, *, is_behind: bool) -> None:
        self._graph, self._left, self._is_behind = graph, number, is_behind

    @contextmanager
    def transaction(self) -> Iterator[GraphTransaction]:
        """Open a transaction, which may be the last one."""
        self._left -= 1
        with self._graph.transaction() as tx:
            yield tx
            if self._left == 0 and not self._is_behind:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def opened(directory: Path) -> Slipstream:
    """Open a PKG without its engine."""
    options = Options(embedders=(HashEmbedder(dimension=8),), views=())
    return open_pkg(directory, config=Config(), options=options, run=False)


def batches(file: Path) -> Iterator[list[str]]:
    """Yield a file's lines in about ten batches, or small ones."""
    lines = file.read_text(encoding="utf-8").splitlines()
    size = max(4, len(lines) // 10)
    return (lines[begin : begin + size] for begin in range(0, len(lines), size))


def main(directory: str, file: str, number: str, when: str) -> None:
    """Apply a file to a PKG, as far as it comes."""
    with opened(Path(directory)) as slip:
        dying = Dying(slip.pkg, int(number), is_behind=when == "behind")
        Applier(dying, slip.dead_letters, slip.clock, feed=FEED).run(batches(Path(file)))


if __name__ == "__main__":
    main(*sys.argv[1:])
