#!/usr/bin/env bash
# Expected: `WHERE n.l > $x` finds the same nodes as with the value of `$x` written into the query.
# Happens:  With a list as `$x` the comparisons <, <=, > and >= find nothing; the list as a literal, or the
#           comparison behind WITH, finds the nodes. Equality is not concerned.
# Matters:  the recommended way to hand over values changes the answer, to an empty one that looks
#           plausible.
# Version:  kglite 0.21.2 (PyPI). Found by running it: every comparison was asked with a literal and with a
#           parameter, for values of all types.
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
print("A list property is greater than a literal list, but never greater than the same list as a parameter.")
graph = kglite.KnowledgeGraph()
for number, value in enumerate(([1], [1, 2], [2])):
    graph.cypher("CREATE (:P {id: $i, l: $l})", params={"i": number, "l": value})


def found(query):
    return sorted(row["i"] for row in graph.cypher(query, params={"x": [1]}).to_list())


seen = {
    "literal": found("MATCH (n:P) WHERE n.l > [1] RETURN n.id AS i"),
    "parameter": found("MATCH (n:P) WHERE n.l > $x RETURN n.id AS i"),
    "parameter behind WITH": found("MATCH (n:P) WITH n, n.l AS l WHERE l > $x RETURN n.id AS i"),
}
stated = {"literal": [1, 2], "parameter": [], "parameter behind WITH": [1, 2]}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
