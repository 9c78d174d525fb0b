"""Files of neo4j-admin: two groups that count from one, a header file, several labels, parallel relationships."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from slipstream.domain.keys import RelationshipRef
from tests.importers.case import Case, Write

FOLDER = Path(__file__).parents[2] / "data" / "tables" / "movies"


def _write(changes: Mapping[str, tuple[str, str]]) -> Write:
    """Write the files, each changed in one place."""

    def write(folder: Path) -> list[Path]:
        paths = [folder / path.name for path in sorted(FOLDER.glob("*.csv"))]
        for path in paths:
            text = (FOLDER / path.name).read_text(encoding="utf-8")
            before, after = changes.get(path.name, ("", ""))
            assert before in text
            path.write_text(text.replace(before, after, 1), encoding="utf-8")
        return paths

    return write


CASE = Case(
    write=_write({}),
    shorter=_write({"people.csv": ("3,,,\n", ""), "roles.csv": ('3,"",2,ACTED_IN\n', "")}),
    gone=frozenset({"Person:3"}),
    damaged={
        "no number": _write({"movies_1.csv": ("1927", "1_927")}),
        "no boolean": _write({"movies_2.csv": ("true", "TRUE")}),
        "fewer cells": _write({"people.csv": ("3,,,", "3,")}),
        "an open quote": _write({"roles.csv": ('"Maria"', '"Maria')}),
        "a missing end": _write({"roles.csv": ('3,"",2', '9,"",2')}),
        "an empty end": _write({"roles.csv": ('3,"",2', ',"",2')}),
        "an empty type": _write({"roles.csv": ("SAW", "")}),
        "an unknown type": _write({"movies_header.csv": ("year:int", "year:integr")}),
        "half a relationship": _write({"roles.csv": (":END_ID(Movie)", "end")}),
        "two spaces": _write({"people.csv": ("name", ":ID(Name)")}),
        "no header": _write({"movies_header.csv": ("ID(Movie),title", "IDENTITY(Movie),title")}),
    },
    entities={
        "Movie:01": (
            "Movie",
            {
                "movieId": "01",
                "title": "Metropolis",
                "year": 1927,
                "rating": 8.3,
                "released": "1927-01-10",
                "shown": datetime(1927, 1, 10, 19, tzinfo=UTC),
                "tags": ["silent", "city", ""],
                "sequel": False,
                "place": {"crs": "WGS-84", "latitude": 52.5069, "longitude": 13.3325},
                "length": "PT2H33M",
            },
        ),
        "Movie:1": (
            "Movie",
            {
                "movieId": "1",
                "title": 'The "Great" Escape, or so',
                "year": 1963,
                "released": "1963-07-04",
                "shown": datetime(1963, 6, 20, 18, 30, tzinfo=UTC),
                "sequel": False,
                "length": "P0DT2H52M",
                "labels": ["Movie", "Classic"],
            },
        ),
        "Movie:2": (
            "Movie",
            {
                "movieId": "2",
                "title": "",
                "year": 1991,
                "rating": 8.0,
                "shown": "1991-07-03T10:00:00.123456789[America/Los_Angeles]",
                "tags": ["war"],
                "sequel": True,
                "place": {"crs": "WGS-84", "x": -118.2, "y": 34.1},
                "labels": ["Movie", "Sequel"],
            },
        ),
        "Person:1": ("Person", {"personId": 1, "name": " Ada ", "years": [1815, 1852]}),
        "Person:2": (
            "Person",
            {"personId": 2, "name": "Brigitte Helm", "years": [1908], "labels": ["Person", "Actor"]},
        ),
        "Person:3": ("Entity", {"personId": 3}),
    },
    relationships=frozenset(
        ref.id
        for ref in (
            RelationshipRef("ACTED_IN", "Person:2", "Movie:01"),
            RelationshipRef("ACTED_IN", "Person:2", "Movie:01", "2"),
            RelationshipRef("SAW", "Person:1", "Movie:1"),
            RelationshipRef("ACTED_IN", "Person:3", "Movie:2"),
        )
    ),
    format="neo4j",
    is_one_file=False,
)
