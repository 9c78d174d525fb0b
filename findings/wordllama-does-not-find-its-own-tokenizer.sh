#!/usr/bin/env bash
# Expected: the wheel carries the weights and the tokenizer of its standard model, so `WordLlama.load()`
#           needs no network.
# Happens:  The tokenizer lies in `tokenizers/`, as the documentation of load() says, but load() looks in
#           `tokenizer/`: it is not found, and load() downloads it or, with downloads disabled, fails. Told
#           that the package is the cache, it finds it.
# Matters:  what was installed for use without a network fails on the first load there, or fetches a file
#           from elsewhere unasked.
# Version:  wordllama 0.4.0.post1 (PyPI). Found by running it: the model was loaded on a machine without a
#           network.
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
package = Path(wordllama.__file__).parent
print("load() without downloads fails, though the wheel carries the tokenizer; with the package as cache it works.")


def loads(**options):
    try:
        wordllama.WordLlama.load(disable_download=True, **options)
    except FileNotFoundError as error:
        return str(error)
    return "loaded"


name = "l2_supercat_tokenizer_config.json"
seen = [(package / "tokenizers" / name).is_file(), loads(cache_dir=Path("empty")), loads(cache_dir=package)]
print(seen[1])
seen[1] = "not found" if name in seen[1] else seen[1]
stated = [True, "not found", "loaded"]
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
