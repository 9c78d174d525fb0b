"""Tables: airports, of a real file whose texts are all quoted, and whose country of Namibia is NA."""

from __future__ import annotations

import csv
from pathlib import Path

from slipstream.domain.keys import RelationshipRef
from slipstream.importers.options import ReadOptions, Relate
from tests.importers.case import Case, Write

TABLE = Path(__file__).parents[2] / "data" / "tables" / "airports.csv"
TEXT = TABLE.read_text(encoding="utf-8")
ROWS = list(csv.DictReader(TEXT.splitlines()))
GONE = ("FYWB", "FYWH")


def _write(text: str | bytes) -> Write:
    def write(folder: Path) -> list[Path]:
        path = folder / "airports.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return [path]

    return write


def _entities() -> dict[str, tuple[str, dict[str, object]]]:
    found: dict[str, tuple[str, dict[str, object]]] = {row["country"]: ("Country", {}) for row in ROWS}
    for row in ROWS:
        texts = {name: text for name, text in row.items() if name != "country"}
        found[row["icao"]] = ("airports", {**texts, "elevation": float(row["elevation"])})
    return found


CASE = Case(
    write=_write(TEXT),
    shorter=_write("".join(line for line in TEXT.splitlines(keepends=True) if line[1:5] not in GONE)),
    gone=frozenset({*GONE, "NA"}),
    damaged={
        "more cells": _write(TEXT.replace('"Leoti",', '"Leoti","more",')),
        "fewer cells": _write(TEXT.replace('"Leoti",', "")),
        "no number": _write(TEXT.replace(",3435,", ",high,")),
        "no id": _write(TEXT.replace('"00AA",""', ',""')),
        "an open quote": _write(TEXT.replace('"Leoti"', '"Leoti')),
        "a quote open to the end": _write(TEXT.rstrip()[:-1]),
        "cut": _write(TEXT[:1000]),
        "not UTF-8": _write(TEXT.encode("latin-1")),
        "two columns of one name": _write(TEXT.replace('"subd"', '"city"')),
        "a column without a name": _write(TEXT.replace('"subd"', '""')),
        "empty": _write(""),
    },
    entities=_entities(),
    relationships=frozenset(RelationshipRef("IN", row["icao"], row["country"]).id for row in ROWS),
    format="csv",
    options=ReadOptions(
        id_column="icao", relate=(Relate("country", "IN", "Country"),), columns=(("elevation", "float"),)
    ),
)
