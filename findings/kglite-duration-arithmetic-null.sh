#!/usr/bin/env bash
# Expected: a duration can be divided and negated as it can be multiplied, or the query is refused.
# Happens:  Times a whole number it is right; divided by a number, times a fraction, or with a minus in
#           front it is NULL, without error.
# Matters:  half a term, or a day added with a minus, silently becomes NULL and takes all that is computed
#           from it along.
# Version:  kglite 0.21.2 (PyPI). Found by running it: the arithmetic operators were applied to each type of
#           value.
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
print("Four days times 2 are eight days; four days divided by 2, times 0.5, or negated are NULL.")
graph = kglite.KnowledgeGraph()
forms = {"* 2": "d * 2", "* -1": "d * -1", "/ 2": "d / 2", "* 0.5": "d * 0.5", "-": "-d"}
seen = {}
for name, form in forms.items():
    value = graph.cypher(f"WITH duration('P4D') AS d RETURN {form} AS x").to_list()[0]["x"]
    seen[name] = value if value is None else value["days"]
stated = {"* 2": 8, "* -1": -4, "/ 2": None, "* 0.5": None, "-": None}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
