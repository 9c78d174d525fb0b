#!/usr/bin/env bash
# Expected: `OPTIONAL MATCH (a)-->(d) WITH d, count(*) AS n` gives one row for each `d`.
# Happens:  All rows fall into one group whose `d` is NULL. Grouping by `a`, `count(a)` in place of
#           `count(*)`, and the optimizer switched off all give the right groups.
# Matters:  who counts what is pointed at gets one total under no name, and no error.
# Version:  kglite 0.21.2 (PyPI). Found by running it: random queries were run with and without the
#           optimizer and their answers compared.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'kglite==0.21.2' || exit 2
env/bin/python - <<'PY'
import sys
from importlib.metadata import version

import kglite

print("kglite", version("kglite"))
print("Grouping by the node that OPTIONAL MATCH found loses that node: one group without a key.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:P {id: 1})-[:R]->(c:P {id: 3}), (:P {id: 2})-[:R]->(c)")
query = "MATCH (a:P) OPTIONAL MATCH (a)-[:R]->(d) WITH d, count(*) AS n RETURN d.id AS d, n ORDER BY n DESC"


def groups(**options):
    return [(row["d"], row["n"]) for row in graph.cypher(query, **options).to_list()]


seen = {"optimizer on": groups(), "optimizer off": groups(disable_optimizer=True)}
stated = {"optimizer on": [(None, 3)], "optimizer off": [(3, 2), (None, 1)]}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
