#!/usr/bin/env bash
# Expected: `RETURN startNode(r)` gives the node, as `RETURN a` does for the same node.
# Happens:  The result holds the node's title as plain text, or None where it has none. Inside the query the
#           value is a node: `startNode(r).age` and `startNode(r) = a` work.
# Matters:  a client that reads ends of relationships gets texts, which need not be unique, and can not tell
#           them from data.
# Version:  kglite 0.21.2 (PyPI). Found by running it: nodes, relationships and their ends were returned
#           side by side.
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
print("The start of a relationship is a node inside the query, and its title as text in the answer.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:P {id: 1, title: 'Ann', age: 40})-[:R]->(n:P) SET n = {id: 2}")
items = "a, startNode(r) AS s, endNode(r) AS e, startNode(r).age AS age, startNode(r) = a AS same"
row = graph.cypher(f"MATCH (a)-[r]->() RETURN {items}").to_list()[0]
seen = {"a": type(row["a"]).__name__, **{name: row[name] for name in ("s", "e", "age", "same")}}
stated = {"a": "dict", "s": "Ann", "e": None, "age": 40, "same": True}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
