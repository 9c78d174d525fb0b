#!/usr/bin/env bash
# Expected: importing a library leaves the logging of the application to the application.
# Happens:  The import gives the root logger a handler and the level INFO, so a later `logging.basicConfig`
#           of the application has no effect.
# Matters:  the program's own format, level and destination for logs are ignored, depending on the order of
#           its imports.
# Version:  wordllama 0.4.0.post1 (PyPI). Found by running it: the root logger was looked at before and
#           after the import.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'wordllama==0.4.0.post1' 'numpy==2.4.6' 'tokenizers==0.23.3' || exit 2
env/bin/python - <<'PY'
import logging
import sys
from importlib.metadata import version

before = (len(logging.root.handlers), logging.getLevelName(logging.root.level))
import wordllama

print("wordllama", version("wordllama"))
print("The import configures the root logger; the application's basicConfig(level=WARNING) then does nothing.")
after = (len(logging.root.handlers), logging.getLevelName(logging.root.level))
logging.basicConfig(level=logging.WARNING)
seen = [before, after, logging.getLevelName(logging.root.level)]
stated = [(0, "WARNING"), (1, "INFO"), "INFO"]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
