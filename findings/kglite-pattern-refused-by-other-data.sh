#!/usr/bin/env bash
# Expected: `MATCH (n:Jar {colour: 'red'})` is an empty answer while no jar is red, as with WHERE.
# Happens:  It is a schema error once any jar has had a property and none a colour, and empty again once one
#           has had a colour. WHERE, and a pattern without the label, always answer.
# Matters:  a query that ran in tests fails in production, or starts to, because of data it does not ask
#           for.
# Version:  kglite 0.21.2 (PyPI). Found by running it: one query was asked again after each change of the
#           data.
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
print("One read-only query: empty, then an error, then empty again, by what properties other nodes carry.")
graph = kglite.KnowledgeGraph()


def rows(query):
    try:
        return graph.cypher(query).to_list()
    except kglite.SchemaError as error:
        return str(error).splitlines()[0]


seen = []
for change in ("CREATE (:Jar {id: 1})", "MATCH (n:Jar) SET n.size = 3", "MATCH (n:Jar) SET n.colour = 'blue'"):
    graph.cypher(change)
    seen.append(rows("MATCH (n:Jar {colour: 'red'}) RETURN n.id AS i"))
    seen.append(rows("MATCH (n:Jar) WHERE n.colour = 'red' RETURN n.id AS i"))
stated = [[], [], "Schema error: Unknown property 'colour' on Jar.", [], [], []]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
