"""A catalogue in Turtle, RDF/XML or JSON-LD."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from slipstream.domain.keys import RelationshipRef
from tests.importers.case import Case

DATA = Path(__file__).parent.parent.parent / "data" / "rdf"
LIBRARY = "http://library.example/"
_ABOUT_CHARLES = {".ttl": "ex:charles, ", ".rdf": '<foaf:knows rdf:resource="http://library.example/charles"/>'}
_ABOUT_CHARLES[".jsonld"] = '"ex:charles", '


def _copied(folder: Path, suffix: str, left_out: str = "") -> list[Path]:
    path = folder / f"library{suffix}"
    text = (DATA / path.name).read_text()
    assert left_out in text
    path.write_text(text.replace(left_out, ""))
    return [path]


def _cut(folder: Path, suffix: str) -> list[Path]:
    [path] = _copied(folder, suffix)
    path.write_bytes(path.read_bytes()[:-40])
    return [path]


def case_of(suffix: str) -> Case:
    """Return the case of the catalogue in the syntax of a suffix."""
    return Case(
        write=lambda folder: _copied(folder, suffix),
        shorter=lambda folder: _copied(folder, suffix, _ABOUT_CHARLES[suffix]),
        gone=frozenset({f"{LIBRARY}charles"}),
        damaged={"cut": lambda folder: _cut(folder, suffix)},
        entities={
            f"{LIBRARY}notes": (
                "Book",
                {
                    "name": "Notes on the Analytical Engine",
                    "name_lang": {"de": "Über die Analytische Maschine"},
                    "subject": ["computing", "engines"],
                    "dc:subject": "computing",
                    "shelfmark": "01",
                    "pages": 66,
                    "weight": 0.5,
                    "isLent": False,
                    "added": datetime(2024, 2, 29, 10, tzinfo=UTC),
                    "printed": "1843-09-01",
                    "award": "none",
                    "award_lang": {"de": "keiner", "en-gb": "none"},
                },
            ),
            f"{LIBRARY}ada": (
                "Person",
                {"name": "Ada Lovelace", "knowsLanguage": ["en", "fr"], "types": ["foaf:Person"]},
            ),
            f"{LIBRARY}charles": ("Resource", {}),
        },
        relationships=frozenset(
            RelationshipRef(relationship_type, f"{LIBRARY}{source}", f"{LIBRARY}{target}").id
            for source, relationship_type, target in (
                ("notes", "author", "ada"),
                ("ada", "knows", "ada"),
                ("ada", "knows", "charles"),
            )
        ),
    )


CASE = case_of(".ttl")
