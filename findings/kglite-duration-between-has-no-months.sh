#!/usr/bin/env bash
# Expected: `duration.between` of 1 January and 15 March 2024 is 2 months and 14 days, as openCypher defines
#           it.
# Happens:  It is 0 months and 74 days; `.months` of it is always 0. `duration.inMonths` of the same dates
#           says 2.
# Matters:  ages, terms and seniorities computed by `.months` come out as 0, without an error.
# Version:  kglite 0.21.2 (PyPI). Found by running it: date functions were compared with hand-computed
#           answers.
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
print("The months between two dates are 0 by duration.between, and 2 by duration.inMonths.")
graph = kglite.KnowledgeGraph()
dates = "(date('2024-01-01'), date('2024-03-15'))"
seen = graph.cypher(f"RETURN duration.between{dates} AS d, duration.between{dates}.months AS months").to_list()[0]
seen["inMonths"] = graph.cypher(f"RETURN duration.inMonths{dates}.months AS m").to_list()[0]["m"]
stated = {"d": {"months": 0, "days": 74, "seconds": 0}, "months": 0, "inMonths": 2}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
