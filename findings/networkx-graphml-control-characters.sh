#!/usr/bin/env bash
# Expected: `read_graphml` gives back the texts that `write_graphml` was given, or the latter refuses them.
# Happens:  a text with a control character makes a file that no XML parser reads, NetworkX's own neither; and a carriage
#           return is written as it is, which XML reads as a line feed: "a\r\nb" comes back as "a\nb".
# Matters:  texts from the web, from PDFs and from terminals have such characters; the loss is found when the file is
#           wanted, long after the graph has gone. The file has to be repaired by hand: `tr -d '\000-\010\013\014\016-\037'`.
# Version:  networkx 3.6.1 (PyPI) with Python's own XML. Found by round trips of texts.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'networkx==3.6.1' || exit 2
env/bin/python - <<'PY'
import io
import sys

import networkx as nx


def after(text):
    graph, file = nx.DiGraph(), io.BytesIO()
    graph.add_node("a", text=text)
    nx.write_graphml(graph, file)
    file.seek(0)
    try:
        return nx.read_graphml(file).nodes["a"]["text"]
    except Exception as error:
        return type(error).__name__


texts = ["plain", "a\nb", "a\r\nb", "form\ffeed", "bell\a"]
found = [after(text) for text in texts]
stated = ["plain", "a\nb", "a\nb", "ParseError", "ParseError"]
print("networkx", nx.__version__)
for pair in zip(texts, found, strict=True):
    print("%r comes back as %r" % pair)
sys.exit(None if found == stated else f"changed: seen {found}, stated {stated}")
PY
