"""
Backups and restores that are killed at the n-th change of the file system, in children of this one process.

`python -m tests.faults.backup_kill_worker FOLDER (backup|restore|fallback) (all|CALLS)` prints one JSON line for each
place, or for those before some calls only (`rename,rmdir`): what was called there, what the directory then is, and
what is left beside it, before and after the next run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from slipstream.adapters import swapping
from slipstream.app.backup.folders import whole_backups
from slipstream.app.backup.restoring import restore
from slipstream.app.composition import Options, backups_of, checked_backup, open_pkg
from slipstream.app.composition.backups import parts
from slipstream.app.config import CONFIG_NAME, TEMPLATE
from slipstream.app.slipstream import Slipstream
from slipstream.testkit.embedders import HashEmbedder

LONG_S = 60.0
OLD = TEMPLATE + "\n# the old one\n"
HOOKED = ("rename", "replace", "fsync", "unlink", "mkdir", "rmdir")


class Places:
    """Counts what changes the file system, and dies before the n-th of it."""

    def __init__(self, kill_at: int | None) -> None:
        self.count, self._kill_at = 0, kill_at
        self.names: list[str] = []

    def install(self) -> None:
        """Put a counter before each function."""
        for name in HOOKED:
            setattr(os, name, self._counting(name, getattr(os, name)))
        swapping.exchange = self._counting("exchange", swapping.exchange)

    def _counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.count += 1
            self.names.append(name)
            return function(*arguments, **options)

        return counted


def opened(root: Path, *, run: bool = True) -> Slipstream:
    """Open a PKG with a model that costs nothing."""
    return open_pkg(root, options=Options(embedders=(HashEmbedder(dimension=16),)), run=run, create=True)


def fill(root: Path, count: int) -> None:
    """Make a PKG that is in line."""
    with opened(root) as slip:
        with slip.pkg.transaction() as tx:
            for number in range(count):
                tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
        if not slip.sync.drain(timeout_s=LONG_S):
            raise RuntimeError("not in line in time")


def in_child(work: Callable[[], object]) -> Any:
    """Run something in a child; returns its result, None when it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    if os.WEXITSTATUS(status):
        raise RuntimeError("a child failed, see above")
    return json.loads(text)


def main() -> None:
    """Walk through the places."""
    folder, kind, chosen = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
    in_child(lambda: prepare(folder))
    names = in_child(lambda: run(folder, kind, None))
    for place in (at for at, name in enumerate(names) if chosen == ["all"] or name in chosen):
        if in_child(partial(run, folder, kind, place)) is not None:
            raise RuntimeError(f"place {place} was not reached")
        looks = [in_child(lambda: look(folder, kind))]
        in_child(lambda: run(folder, kind, None, anew=False))
        looks.append(in_child(lambda: look(folder, kind)))
        print(json.dumps({"place": place, "call": names[place], "looks": looks}), flush=True)  # noqa: T201


def prepare(folder: Path) -> None:
    """Make a PKG, its backup, and another PKG."""
    fill(folder / "pkg", 10)
    backups_of(folder / "pkg").backup(folder / "source")
    fill(folder / "other", 1)
    (folder / "other" / CONFIG_NAME).write_text(OLD)


def run(folder: Path, kind: str, kill_at: int | None, *, anew: bool = True) -> list[str]:
    """Run what is to be killed, from the beginning or on what the last one has left; returns what was called."""
    if anew:
        shutil.rmtree(folder / "target", ignore_errors=True)
        if kind == "backup":
            (folder / "target").mkdir()
        else:
            shutil.copytree(folder / "other", folder / "target")
    places = Places(kill_at)
    places.install()
    if kind == "backup":
        backups_of(folder / "pkg").backup(folder / "target")
    else:
        outside = parts()
        if kind == "fallback":
            outside = replace(outside, exchange=lambda one, two: False)
        (source,) = (each for each, _ in whole_backups(folder / "source"))
        restore(source, folder / "target", outside, replace=True)
    return places.names


def look(folder: Path, kind: str) -> dict[str, Any]:
    """Tell what is there."""
    target = folder / "target"
    if kind == "backup":
        whole = [checked_backup(each).manifest.entities for each, _ in whole_backups(target)]
        return {"whole": whole, "left": len(list(target.iterdir())) - len(whole)}
    with opened(target, run=False) as slip:
        found = {"entities": sum(slip.pkg.counts().values()), "incident": slip.incident is not None}
        found["consistent"] = slip.verify().is_consistent
    is_old = (target / CONFIG_NAME).read_text() == OLD
    names = {".slipstream", CONFIG_NAME}
    return {**found, "old_settings": is_old, "left": len({path.name for path in target.iterdir()} - names)}


if __name__ == "__main__":
    main()
