#!/usr/bin/env bash
# Expected: the vector of a text without any token is all zeros, normalised or not.
# Happens:  `embed(text)` gives zeros, `embed(text, norm=True)` gives NaN throughout; and `deduplicate`,
#           which normalises, keeps every empty text.
# Matters:  one empty field puts NaN into a vector index, where each comparison with it is false or poisons
#           a score.
# Version:  wordllama 0.4.0.post1 (PyPI). Found by running it: texts of all lengths were embedded with and
#           without normalising.
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

import numpy as np
import wordllama

print("wordllama", version("wordllama"))
print("An empty text: zeros without norm, NaN with norm=True, and three empty texts are no duplicates.")
np.seterr(all="ignore")
model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
seen = {
    "zeros": bool((model.embed("") == 0).all()),
    "NaN with norm": bool(np.isnan(model.embed("", norm=True)).all()),
    "left of three": len(model.deduplicate(["", "", ""], threshold=0.9)),
}
stated = {"zeros": True, "NaN with norm": True, "left of three": 3}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
