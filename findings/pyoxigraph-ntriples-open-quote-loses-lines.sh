#!/usr/bin/env bash
# Expected: N-Triples is one triple a line, and the parser goes on after an error: so behind a line whose quotation mark
#           is never closed, the next lines are read, as they are behind any other wrong line.
# Happens:  the next line is read as the rest of that literal, up to its first quotation mark, and so on: each line with
#           one literal is lost, to the end of the file, and only line 1 is taken.
# Matters:  whoever counts the errors and keeps the rest (`next` goes on after SyntaxError) loses every right line
#           behind one wrong one. Parse line by line where a block has an error.
# Version:  pyoxigraph 0.5.13 (PyPI). Found by a test of damaged files.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env || exit 2
env/bin/pip install -q --disable-pip-version-check 'pyoxigraph==0.5.13' || exit 2
env/bin/python - <<'PY'
import sys
from importlib.metadata import version

from pyoxigraph import RdfFormat, parse


def taken(second):
    lines = [f'<http://e/{number}> <http://e/p> "text" .' for number in range(1, 6)]
    lines[1] = second
    quads = iter(parse("\n".join(lines).encode() + b"\n", RdfFormat.N_TRIPLES))
    found = []
    while True:
        try:
            found.append(next(quads).subject.value[-1])
        except SyntaxError:
            continue
        except StopIteration:
            return "".join(found)


print("pyoxigraph", version("pyoxigraph"))
print("Five lines, of which the second is wrong; which subjects are taken, going on after each SyntaxError.")
found = {
    "no triple at all": taken("wrong"),
    "a quotation mark is missing": taken('<http://e/2> <http://e/p> "text .'),
}
stated = {"no triple at all": "1345", "a quotation mark is missing": "1"}
print("seen:", found)
sys.exit(None if found == stated else f"changed: seen {found}, stated {stated}")
PY
