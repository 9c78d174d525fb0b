"""People in a table: 12 columns, of which one is a number."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path

from bench.imports.case import Case
from slipstream.importers.options import ReadOptions

_SYLLABLES = (
    "ba",
    "de",
    "do",
    "fe",
    "ga",
    "ha",
    "ka",
    "la",
    "mi",
    "na",
    "po",
    "ri",
    "sa",
    "te",
    "ti",
    "vo",
    "wa",
    "zu",
)
_COLUMNS = ("id", "name", "title", "street", "city", "country", "phone", "mail", "born", "note", "team", "code")


def _write(folder: Path, count: int) -> Sequence[Path]:
    path = folder / "Person.csv"
    chosen = random.Random(7)
    words = ["".join(chosen.choices(_SYLLABLES, k=chosen.randint(2, 4))) for _ in range(20_000)]

    def said(size: int) -> str:
        return " ".join(chosen.choices(words, k=size))

    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for number in range(count):
            name, born = said(2), 1900 + number % 120
            note = f"{said(9)}, {said(5)}" if number % 3 else ""
            row = (f"p{number}", name.title(), said(1), f"{said(2)} {number % 200}", said(1), said(1))
            writer.writerow((*row, f"0{number}", f"{name.replace(' ', '.')}@x", born, note, said(1), f"{number:06}"))
    return [path]


def _parse(paths: Sequence[Path]) -> int:
    with paths[0].open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


CASE = Case(
    write=_write,
    parse=_parse,
    unit="rows",
    count=200_000,
    target=0.5,
    options=ReadOptions(columns=(("born", "integer"),)),
)
