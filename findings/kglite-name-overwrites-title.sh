#!/usr/bin/env bash
# Expected: `SET n.name = ...` changes the property `name` and no other.
# Happens:  It also overwrites the property `title`, though the node was created with both. `SET n.title`
#           leaves `name` alone.
# Matters:  a catalogue whose entries have a title and a name loses its titles to the first edit of a name.
# Version:  kglite 0.21.2 (PyPI). Found by running it: properties with many names were written one by one,
#           and all others read back.
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
print("Writing a node's name replaces its title as well; writing its title keeps the name.")
graph = kglite.KnowledgeGraph()
graph.cypher("CREATE (:Book {id: 1, title: 'Hunger', name: 'copy A'})")
read = "MATCH (b:Book) RETURN b.title AS title, b.name AS name"
seen = {"created": graph.cypher(read).to_list()[0]}
graph.cypher("MATCH (b:Book) SET b.name = 'copy B'")
seen["name written"] = graph.cypher(read).to_list()[0]
graph.cypher("MATCH (b:Book) SET b.title = 'Pan'")
seen["title written"] = graph.cypher(read).to_list()[0]
stated = {
    "created": {"title": "Hunger", "name": "copy A"},
    "name written": {"title": "copy B", "name": "copy B"},
    "title written": {"title": "Pan", "name": "copy B"},
}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
