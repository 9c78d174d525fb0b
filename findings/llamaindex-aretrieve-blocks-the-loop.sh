#!/usr/bin/env bash
# Expected: `await retriever.aretrieve(…)` of a retriever that has only `_retrieve` runs that in a thread, as
#           LangChain's retrievers do.
# Happens:  it runs in the event loop's own thread: nothing else of the program goes on until the search has ended, and
#           several of them, gathered, run one after the other.
# Matters:  a server that awaits a retriever of somebody's answers nobody meanwhile. Write `_aretrieve`, too.
# Version:  llama-index-core 0.14.25 (PyPI). Found by reading `BaseRetriever` for a retriever of our own, then run.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'llama-index-core==0.14.25' || exit 2
env/bin/python - <<'PY'
import asyncio
import sys
import threading
from importlib.metadata import version

from llama_index.core.retrievers import BaseRetriever

print("llama-index-core", version("llama-index-core"))
print("Two retrievals that are gathered: both in the loop's thread, the second when the first has ended.")
told = []


class Retriever(BaseRetriever):
    def _retrieve(self, query_bundle):
        told.append(("begins", threading.current_thread() is threading.main_thread()))
        told.append(("ends", threading.current_thread() is threading.main_thread()))
        return []


async def both():
    await asyncio.gather(Retriever().aretrieve("a"), Retriever().aretrieve("b"))


asyncio.run(both())
stated = [("begins", True), ("ends", True)] * 2
print("seen:", told)
sys.exit(None if told == stated else f"changed: seen {told}, stated {stated}")
PY
