#!/usr/bin/env bash
# Expected: finding a node by its indexed id costs the same however many labels the graph has.
# Happens:  Without a label in the pattern the time grows in proportion to the number of labels; with the
#           label it stays.
# Matters:  in a graph with thousands of types the same lookup is tens of times slower for want of a label
#           that the caller may know.
# Version:  kglite 0.21.2 (PyPI). Found by running it: lookups were timed on graphs of 1 to 3,000 labels,
#           one node each.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'kglite==0.21.2' || exit 2
env/bin/python - <<'PY'
import sys
import time
from importlib.metadata import version

import kglite

print("kglite", version("kglite"))
print("Looking up an id: 30 against 3,000 labels, CPU time of the best of five rounds.")


def cost(labels, pattern):
    graph = kglite.KnowledgeGraph()
    for number in range(labels):
        graph.cypher(f"CREATE (:L{number} {{id: 'k{number}'}})")
    query, rounds = f"MATCH ({pattern} {{id: $i}}) RETURN n.id AS i", []
    for _ in range(5):
        begin = time.process_time()
        for _ in range(100):
            graph.cypher(query, params={"i": "k7"})
        rounds.append(time.process_time() - begin)
    return min(rounds)


times = {pattern: cost(3000, pattern) / cost(30, pattern) for pattern in ("n", "n:L7")}
print({pattern: f"{ratio:.1f} times as long" for pattern, ratio in times.items()})
seen = {"without label > 6 times": times["n"] > 6, "with label < 3 times": times["n:L7"] < 3}
stated = {"without label > 6 times": True, "with label < 3 times": True}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
