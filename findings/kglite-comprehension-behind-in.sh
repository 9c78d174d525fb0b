#!/usr/bin/env bash
# Expected: a list comprehension stands wherever a list may stand.
# Happens:  Directly behind IN it is a syntax error; in parentheses, or anywhere else, it works, and so does
#           a plain list behind IN.
# Matters:  generated queries and queries written for another Cypher stop at it, and the message names only
#           a bracket.
# Version:  kglite 0.21.2 (PyPI). Found by running it: a set of queries written by the openCypher grammar
#           was run.
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
print("x IN [y IN list WHERE ...] is refused; x IN ([y IN list WHERE ...]) is taken.")
graph = kglite.KnowledgeGraph()


def answer(expression):
    try:
        return graph.cypher(f"RETURN {expression} AS x").to_list()[0]["x"]
    except kglite.CypherSyntaxError as error:
        print(str(error).splitlines()[0])
        return "syntax error"


seen = [answer("2 IN [y IN [1, 2] WHERE y > 1]"), answer("2 IN ([y IN [1, 2] WHERE y > 1])"), answer("2 IN [1, 2]")]
stated = ["syntax error", True, True]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
