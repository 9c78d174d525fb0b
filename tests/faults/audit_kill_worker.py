"""The process that is killed while it audits or repairs."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.adapters.wrappers.faults import FailpointHook, FaultyAudits, FaultyJournal, kill_at
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.testkit.embedders import HashEmbedder

ENTITIES = 1_300


def open_for_test(root: Path, *, run: bool = True, hook: FailpointHook | None = None) -> Slipstream:
    """Open the PKG; with a hook its journal and its audits have failpoints."""
    wrapping = Wrapping()
    if hook is not None:
        wrapping = Wrapping(
            journal=lambda journal: FaultyJournal(journal, hook), audits=lambda audits: FaultyAudits(audits, hook)
        )
    options = Options(embedders=(HashEmbedder(dimension=8),), wrapping=wrapping)
    return open_pkg(root, run=run, create=True, options=options)


def main() -> None:
    """Do what the arguments name until the failpoint kills this process."""
    root, action, failpoint, count = sys.argv[1:]
    with open_for_test(Path(root), run=False, hook=kill_at(failpoint, int(count))) as slipstream:
        if action == "repair":
            plan = slipstream.repairer.braked(slipstream.audits.audits(None, 1)[0].id)
            assert plan is not None  # so much is mended only when somebody confirms it
            slipstream.repairer.confirm(plan.id)
        elif action == "scrub":
            slipstream.scrubber.run("full")
        else:
            slipstream.verify(incremental=action == "incremental")


if __name__ == "__main__":
    main()
