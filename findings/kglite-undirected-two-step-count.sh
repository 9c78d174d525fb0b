#!/usr/bin/env bash
# Expected: `MATCH (a)--(b)--(c) RETURN count(*)` counts the rows that the same pattern returns.
# Happens:  It answers 0 as soon as one of the two steps has no direction. The rows themselves, a longer
#           chain and the same count without the optimizer are right.
# Matters:  a wrong number without any warning, in one of the shortest questions about neighbours of
#           neighbours.
# Version:  kglite 0.21.2 (PyPI). Found by running it: random patterns were counted once as they stand and
#           once split by a condition, its negation and its NULL.
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
print("Two undirected steps over a ring of three: six rows, but count(*) of them is 0 while the optimizer is on.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (a:P {id: 1})-[:R]->(:P {id: 2})-[:R]->(:P {id: 3})-[:R]->(a)")
pattern = "MATCH (a)--(b)--(c) RETURN "
count = pattern + "count(*) AS n"
seen = {
    "rows": len(graph.cypher(pattern + "a.id AS a, b.id AS b, c.id AS c").to_list()),
    "count": graph.cypher(count).to_list()[0]["n"],
    "count, optimizer off": graph.cypher(count, disable_optimizer=True).to_list()[0]["n"],
}
stated = {"rows": 6, "count": 0, "count, optimizer off": 6}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
