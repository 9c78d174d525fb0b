#!/usr/bin/env bash
# Expected: a node created and deleted in one statement leaves no change record, or a create and a delete.
# Happens:  It leaves a delete alone, with the state before it. A property changed and changed back likewise
#           leaves an update whose before and after are the same.
# Matters:  a follower of the change stream is told to delete what it never had, and must not take that for
#           a gap.
# Version:  kglite 0.21.2 (PyPI). Found by running it: statements were run against a graph with change
#           capture on, and the events read after each.
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
print("Created and deleted in one statement: the change stream holds one delete and no create.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:D {id: 'kept', x: 1})")
graph.cypher("CALL db.cdc.enable({enrichment: 'full'})")
graph.cypher("CREATE (n:D {id: 'brief'}) DELETE n")
graph.cypher("MATCH (n:D {id: 'kept'}) SET n.x = 2 SET n.x = 1")
events = graph.cypher("CALL db.cdc.query()").to_list()
seen = [(event["operation"], event["nodeId"]) for event in events]
seen.append(("before = after", events[-1]["state"]["before"] == events[-1]["state"]["after"]))
stated = [("delete", "brief"), ("update", "kept"), ("before = after", True)]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
