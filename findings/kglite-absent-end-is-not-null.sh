#!/usr/bin/env bash
# Expected: a relationship without the property `end` answers NULL to `r.end`, as for any other name.
# Happens:  It answers the id of its end node; `start`, `start_id`, `end_id`, `connection_type`, `type` and
#           `id` likewise, and on nodes `label`, `node_type`, `type` and `name` (documented as fallbacks).
#           `r['end']` and `keys(r)` say it is absent.
# Matters:  `WHERE r.end IS NULL`, the usual test for what still lasts, finds nothing, and a report shows
#           ids among years.
# Version:  kglite 0.21.2 (PyPI). Found by running it: properties with many names were asked of
#           relationships and nodes that have none.
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
print("A relationship with a start and no end: r.end is the id of the node it points at, not NULL.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:Person {id: 'ann'})-[:WORKS_AT {start: 2010}]->(:Firm {id: 'acme'})")
items = "r.start AS start, r.`end` AS `end`, r['end'] AS by_key, n.label AS label"
seen = graph.cypher(f"MATCH (n:Person)-[r:WORKS_AT]->() RETURN {items}").to_list()[0]
seen["still there"] = len(graph.cypher("MATCH ()-[r:WORKS_AT]->() WHERE r.`end` IS NULL RETURN r.start").to_list())
stated = {"start": 2010, "end": "acme", "by_key": None, "label": "Person", "still there": 0}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
