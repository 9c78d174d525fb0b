#!/usr/bin/env bash
# Expected: a property that was written is among `keys(n)` and in the node that a query returns.
# Happens:  `git_sha`, `modified_by` and `updated_at` are not, although the automatic stamping that uses
#           these names is off (it is opt-in): each can be read by its name only.
# Matters:  who copies nodes by `RETURN n` or `properties(n)` loses `updated_at`, a very common name,
#           without a word.
# Version:  kglite 0.21.2 (PyPI). Found by running it: 42,000 property names were written and the whole node
#           read back; these three were missing.
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
print("Properties called git_sha, modified_by and updated_at are stored, but left out of every listing.")
graph = kglite.KnowledgeGraph()
values = {"id": 1, "created_at": "2024", "updated_at": "2025", "git_sha": "abc", "modified_by": "me"}
graph.cypher("CREATE (n:Doc) SET n = $values", params={"values": values})
row = graph.cypher("MATCH (n:Doc) RETURN n, keys(n) AS keys, properties(n) AS properties").to_list()[0]
one = graph.cypher("MATCH (n:Doc) RETURN n.updated_at AS u, n.git_sha AS g, n.modified_by AS m").to_list()[0]
seen = {
    "missing in node": sorted(values.keys() - row["n"]["properties"].keys()),
    "missing in keys": sorted(values.keys() - set(row["keys"])),
    "missing in properties": sorted(values.keys() - row["properties"].keys()),
    "one by one": [one["u"], one["g"], one["m"]],
}
hidden = ["git_sha", "modified_by", "updated_at"]
stated = {f"missing in {where}": hidden for where in ("node", "keys", "properties")}
stated["one by one"] = ["2025", "abc", "me"]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
