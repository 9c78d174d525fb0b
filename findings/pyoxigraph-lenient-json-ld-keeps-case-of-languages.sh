#!/usr/bin/env bash
# Expected: `lenient=True` "skips some data validation"; what is valid is parsed as without it. Language tags come in
#           lower case, from Turtle and JSON-LD, strict or lenient.
# Happens:  JSON-LD with `lenient=True` alone keeps `en-GB` as it is written.
# Matters:  the literal is not equal to the same one of another syntax, so that a file that was converted to JSON-LD
#           adds a second one to each. Lower-case the tags.
# Version:  pyoxigraph 0.5.13 (PyPI). Found by comparing one catalogue in three syntaxes.
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

XML = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">'
    '<rdf:Description rdf:about="http://e/a"><e:p xml:lang="en-GB">x</e:p></rdf:Description></rdf:RDF>'
)
SOURCES = {
    RdfFormat.TURTLE: '<http://e/a> <http://e/p> "x"@en-GB .',
    RdfFormat.RDF_XML: XML,
    RdfFormat.JSON_LD: '{"@id": "http://e/a", "http://e/p": {"@value": "x", "@language": "en-GB"}}',
}

print("pyoxigraph", version("pyoxigraph"))
print('The language of "x"@en-GB, strictly and leniently parsed.')
found = {
    form.name: [quad.object.language for lenient in (False, True) for quad in parse(text, form, lenient=lenient)]
    for form, text in SOURCES.items()
}
stated = {"Turtle": ["en-gb", "en-gb"], "RDF/XML": ["en-gb", "en-gb"], "JSON-LD": ["en-gb", "en-GB"]}
print("seen:", found)
sys.exit(None if found == stated else f"changed: seen {found}, stated {stated}")
PY
