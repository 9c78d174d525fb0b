#!/usr/bin/env bash
# Expected: nodes and events of the loader in C are those of the one in Python, as both are of the same classes.
# Happens:  the `style` of a scalar without quotes is None from SafeLoader, and '' from CSafeLoader.
# Matters:  `style is None` tells `12` from `"12"` while one tries it out, and takes every value for a quoted one, or
#           the other way round, once the faster loader is chosen. `not style` is right for both.
# Version:  PyYAML 6.0.3 (PyPI). Found by telling quoted numbers from numbers in front matter.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'PyYAML==6.0.3' || exit 2
env/bin/python - <<'PY'
import sys

import yaml

print("PyYAML", yaml.__version__)
print("The style of a plain scalar is None from SafeLoader, '' from CSafeLoader; that of a quoted one is the same.")
seen = {}
for loader in (yaml.SafeLoader, yaml.CSafeLoader):
    (_, plain), (_, quoted) = yaml.compose('a: 12\nb: "12"\n', Loader=loader).value
    seen[loader.__name__] = (plain.style, quoted.style)
stated = {"SafeLoader": (None, '"'), "CSafeLoader": ("", '"')}
print("seen:", seen)
sys.exit(None if seen == stated else f"changed: seen {seen}, stated {stated}")
PY
