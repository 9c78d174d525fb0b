"""The process that is killed while it repairs word rows."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.adapters.wrappers.faults import FailpointHook, FaultyJournal, FaultyWords, kill_at
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import Config, ScrubConfig
from slipstream.app.slipstream import Slipstream
from slipstream.testkit.embedders import HashEmbedder
from tests.until import LONG_S


def open_for_test(root: Path, *, run: bool = True, hook: FailpointHook | None = None) -> Slipstream:
    """Open the PKG; with a hook its journal and its word rows have failpoints. Nothing is audited by a schedule."""
    wrapping = Wrapping()
    if hook is not None:
        wrapping = Wrapping(
            journal=lambda journal: FaultyJournal(journal, hook), words=lambda words: FaultyWords(words, hook)
        )
    options = Options(embedders=(HashEmbedder(dimension=8),), wrapping=wrapping)
    config = Config(scrub=ScrubConfig(enabled=False))
    return open_pkg(root, run=run, create=True, config=config, options=options)


def main() -> None:
    """Repair what the last audit found, or have the engine go on with it, until the failpoint kills this process."""
    root, action, failpoint, count = sys.argv[1:]
    with open_for_test(Path(root), run=action != "repair", hook=kill_at(failpoint, int(count))) as slipstream:
        last = slipstream.audits.audits(None, 1)[0].id
        if action == "repair":
            plan = slipstream.repairer.braked(last)
            assert plan is not None  # so much is mended only when somebody confirms it
            slipstream.repairer.confirm(plan.id)
            return
        if action == "refill":
            slipstream.repairer.mend(last)
        assert slipstream.sync.drain(timeout_s=LONG_S)


if __name__ == "__main__":
    main()
