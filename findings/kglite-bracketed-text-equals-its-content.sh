#!/usr/bin/env bash
# Expected: two texts are equal when they have the same characters.
# Happens:  A text that is a JSON list of one text equals that text in =, <>, IN and MERGE (documented), but
#           not for DISTINCT, which keeps both. Lists of two, and real lists, are compared as one would
#           expect.
# Matters:  MERGE takes another node for the wanted one and does not create it, and two values that are
#           equal are counted as two.
# Version:  kglite 0.21.2 (PyPI). Found by running it: values of all types were compared with one another in
#           every way there is.
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
print("The texts [\"Oslo\"] and Oslo are equal for = and MERGE, and different for DISTINCT.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:City {id: 1, name: $name})", params={"name": '["Oslo"]'})
values = {"x": '["Oslo"]', "y": "Oslo", "z": '["Oslo", "Bergen"]'}
equal = graph.cypher("RETURN $x = $y AS one, $z = $y AS two, [$y] = $y AS list", params=values).to_list()[0]
graph.cypher("MERGE (:City {name: 'Oslo'})")
distinct = graph.cypher("UNWIND [$x, $y] AS v RETURN count(DISTINCT v) AS n", params=values).to_list()[0]["n"]
cities = graph.cypher("MATCH (c:City) RETURN count(c) AS n").to_list()[0]["n"]
seen = {**equal, "distinct": distinct, "cities after MERGE": cities}
stated = {"one": True, "two": False, "list": False, "distinct": 2, "cities after MERGE": 1}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
