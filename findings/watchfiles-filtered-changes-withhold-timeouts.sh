#!/usr/bin/env bash
# Expected: `watch(…, yield_on_timeout=True)` yields at least every `rust_timeout` milliseconds: changes, or an empty
#           set.
# Happens:  changes that the filter drops count as changes for the timeout, but are not yielded. While they keep coming,
#           nothing at all is yielded.
# Matters:  whoever does something at each timeout (looks whether to go on, lists the folder) does not get to it while a
#           `.git` or a build folder is written to. Pass `watch_filter=None`, and filter what is yielded.
# Version:  watchfiles 1.3.0 (PyPI), inotify. Found by reading `watch`, then run.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'watchfiles==1.3.0' || exit 2
env/bin/python - <<'PY'
import sys
import threading
import time
from pathlib import Path

import watchfiles

print("watchfiles", watchfiles.__version__)
print("With a timeout of 100 ms it yields while nothing happens, and not once while dropped changes keep coming.")
root, stop, count = Path("root").resolve(), threading.Event(), [0]
root.mkdir()


def run():
    options = {"stop_event": stop, "rust_timeout": 100, "yield_on_timeout": True, "step": 20, "debounce": 50}
    for _ in watchfiles.watch(root, watch_filter=lambda change, path: False, **options):
        count[0] += 1


thread = threading.Thread(target=run)
thread.start()
while not count[0]:
    time.sleep(0.05)
count[0] = 0
time.sleep(3)
quiet, count[0] = count[0], 0
until = time.monotonic() + 3
(root / "dropped").write_text("0")
time.sleep(0.05)
count[0] = 0
while time.monotonic() < until:
    (root / "dropped").write_text(str(time.monotonic()))
    time.sleep(0.005)
busy = count[0]
stop.set()
thread.join()
seen = {"while quiet": quiet > 5, "while busy": busy}
stated = {"while quiet": True, "while busy": 0}
print("seen:", seen, f"({quiet} times while quiet)")
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
