#!/usr/bin/env bash
# Expected: `add_texts` with fewer ids than texts raises ValueError, as its docstring says and as it does for
#           metadatas.
# Happens:  the texts behind the last id are dropped without a word, by every store that relies on the base class's
#           `add_texts`: `zip(texts, metadatas, ids, strict=False)`.
# Matters:  documents are missing from a store whose caller was told that all went well.
# Version:  langchain-core 1.8.3 (PyPI). Found by reading `VectorStore.add_texts` for a store of our own, then run with
#           LangChain's own InMemoryVectorStore.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'langchain-core==1.8.3' 'numpy>=2' || exit 2
env/bin/python - <<'PY'
import sys
from importlib.metadata import version

from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

print("langchain-core", version("langchain-core"))
print("Three texts and one id: one text is kept, and nothing is raised.")
store = InMemoryVectorStore(DeterministicFakeEmbedding(size=4))
seen = {"ids": store.add_texts(["a", "b", "c"], ids=["1"]), "kept": len(store.store)}
try:
    store.add_texts(["a", "b", "c"], metadatas=[{"n": 1}])
except ValueError:
    seen["too few metadatas"] = "ValueError"
stated = {"ids": ["1"], "kept": 1, "too few metadatas": "ValueError"}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
