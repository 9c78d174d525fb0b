#!/usr/bin/env bash
# Expected: a text never equals a date, or at least equality is transitive.
# Happens:  The text of a day equals the date, the date equals the timestamp of its midnight, and that
#           equals its own text; the two texts are not equal. DISTINCT tells all four apart.
# Matters:  joining or filtering on a column that mixes texts and dates matches rows that = calls equal and
#           grouping calls different.
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
print("A text equals a date, the date a timestamp, the timestamp another text, and the two texts differ.")
graph = kglite.KnowledgeGraph()
chain = ["'2024-01-01'", "date('2024-01-01')", "localdatetime('2024-01-01T00:00:00')", "'2024-01-01T00:00:00'"]
pairs = [*zip(chain, chain[1:]), (chain[0], chain[-1])]
seen = [graph.cypher(f"RETURN {left} = {right} AS same").to_list()[0]["same"] for left, right in pairs]
seen += [graph.cypher(f"UNWIND [{', '.join(chain)}] AS v RETURN count(DISTINCT v) AS n").to_list()[0]["n"]]
stated = [True, True, True, False, 4]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
