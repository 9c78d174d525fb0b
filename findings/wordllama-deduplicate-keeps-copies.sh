#!/usr/bin/env bash
# Expected: `deduplicate` returns the same texts whatever batch_size it works with.
# Happens:  As soon as there are more texts than batch_size (5,000 unless given), some exact copies stay: of
#           a pair of different batches only those are found whose second place in its batch is not before
#           the first one's.
# Matters:  large inputs, for which one deduplicates, keep a share of their duplicates, and nothing tells.
# Version:  wordllama 0.4.0.post1 (PyPI). Found by running it: one list was deduplicated with several batch
#           sizes.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'wordllama==0.4.0.post1' 'numpy==2.4.6' 'tokenizers==0.23.3' || exit 2
env/bin/python - <<'PY'
import sys
from importlib.metadata import version
from pathlib import Path

import wordllama

print("wordllama", version("wordllama"))
print("Ten texts, each twice: with one batch ten are left, in batches of three some stay twice.")
model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
texts = ["red apple", "blue river", "green forest", "yellow sun", "cold winter"]
texts += ["fast train", "deep ocean", "tall tower", "old book", "new song"]
left = {size: model.deduplicate(texts * 2, threshold=0.99, batch_size=size) for size in (20, 3)}
seen = {size: sorted(text for text in texts if kept.count(text) > 1) for size, kept in left.items()}
stated = {20: [], 3: ["fast train", "green forest", "old book"]}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
