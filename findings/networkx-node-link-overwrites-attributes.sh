#!/usr/bin/env bash
# Expected: `node_link_graph(node_link_data(graph))` is the graph, or an attribute that has no place in the form is refused.
# Happens:  an edge's attributes `source` and `target` (and, in a multigraph, `key`) are replaced by its ends and its key,
#           and a node's attribute `id` by the node itself; without a word.
# Matters:  `source`, where a statement comes from, is a common attribute of edges in graphs made from texts: none of it
#           is in the file. `source=`, `target=`, `key=` and `name=` rename the places, for whoever knows.
# Version:  networkx 3.6.1 (PyPI). Found by writing a graph of ours as node-link JSON and reading it again.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'networkx==3.6.1' || exit 2
env/bin/python - <<'PY'
import sys

import networkx as nx

graph = nx.MultiDiGraph()
graph.add_node("ada")
graph.nodes["ada"].update(id="Q7259", name="Ada")
graph.add_edge("ada", "engine")
graph.edges["ada", "engine", 0].update(source="Note G", target="1843", key="k", page=7)
back = nx.node_link_graph(nx.node_link_data(graph))

print("networkx", nx.__version__)
print("node ", dict(graph.nodes["ada"]), " edge", dict(graph.edges["ada", "engine", 0]))
found = dict(back.nodes["ada"]), dict(back.edges["ada", "engine", 0])
stated = {"name": "Ada"}, {"page": 7}
print("after:", *found)
sys.exit(None if found == stated else f"changed: seen {found}, stated {stated}")
PY
