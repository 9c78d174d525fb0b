#!/usr/bin/env bash
# Expected: when the watched folder itself is deleted, or renamed away, `watch` ends, raises, or goes on with the
#           folder that is at its path afterwards.
# Happens:  it yields that the folder was deleted, and then waits for ever: nothing of a folder that is made anew at
#           the same path is told. With `yield_on_timeout` it goes on yielding empty sets.
# Matters:  a drive that is mounted again, or a folder that is swapped for a new one, is watched no more, and nothing
#           says so. Compare the folder's device and inode in each round, and watch anew when they differ.
# Version:  watchfiles 1.3.0 (PyPI), inotify. Found by swapping a watched folder.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'watchfiles==1.3.0' || exit 2
env/bin/python - <<'PY'
import shutil
import sys
import threading
import time
from pathlib import Path

import watchfiles

print("watchfiles", watchfiles.__version__)
print("A watched folder is deleted and made anew: what happens in the new one is not told, and nothing is raised.")
root, stop, told = Path("root").resolve(), threading.Event(), []
root.mkdir()


def run():
    for changes in watchfiles.watch(root, stop_event=stop, rust_timeout=100, yield_on_timeout=True, step=20):
        told.append({(change.name, Path(path).name) for change, path in changes})


def names():
    found = {name for changes in told for _, name in changes}
    told.clear()
    return found


thread = threading.Thread(target=run)
thread.start()
while not told:
    time.sleep(0.05)
(root / "before").write_text("1")
time.sleep(2)
before = names()
shutil.rmtree(root)
time.sleep(2)
removed = names()
root.mkdir()
time.sleep(0.5)
(root / "behind").write_text("1")
time.sleep(3)
seen = {"before": "before" in before, "removed": "root" in removed, "behind": names(), "alive": thread.is_alive()}
stop.set()
thread.join()
stated = {"before": True, "removed": True, "behind": set(), "alive": True}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
