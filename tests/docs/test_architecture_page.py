"""ARCHITECTURE.md: its picture is that of the import contracts, and all that it points at is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.docs.house import contracts_of, floors_of, picture

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "slipstream"
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LIKELIEST = 12
_PATH = re.compile(r"`((?:[a-z_0-9]+/)+(?:[a-z_0-9]+\.py)?)`|`((?:[a-z_0-9]+/)+[a-z_0-9]+)`")
_NAME = re.compile(r"`([A-Za-z_]+)`")


def _part(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _rows(heading: str) -> list[str]:
    rows = [line for line in _part(heading).splitlines() if line.startswith("| ")]
    return [row for row in rows if not row.startswith("| |") and not row.startswith("| … |")]


def _files(text: str) -> Iterator[Path]:
    """Yield the places that a text names, of the package or of the repository."""
    for match in _PATH.finditer(text):
        name = match[1] or match[2]
        place = PACKAGE / name
        yield place if place.exists() else ROOT / name


def _rooms(block: str) -> list[list[str]]:
    return [re.findall(r"(\w+)\[\"", line) for line in re.findall(r"direction LR\n *(.*)", block)]


def test_every_floor_of_the_contracts_is_drawn_in_its_order() -> None:
    floors = floors_of(contracts_of(PYPROJECT))
    drawn = [
        ["adapters"] if rooms[0].startswith("adapters_") else rooms for rooms in _rooms(_part("The house")) if rooms
    ]
    assert drawn == floors
    assert {room for rooms in floors for room in rooms} | {"testkit"} == {
        place.parent.name for place in PACKAGE.glob("*/__init__.py")
    }


def test_another_contract_makes_another_picture() -> None:
    assert picture(PYPROJECT) in PAGE
    swapped = PYPROJECT.replace(
        '    "slipstream.engine",\n    "slipstream.evolution",\n',
        '    "slipstream.engine | slipstream.evolution",\n',
        1,
    )
    assert swapped != PYPROJECT
    assert picture(swapped) not in PAGE
    let_in = PYPROJECT.replace('"slipstream.app.composition.factories -> ', '"slipstream.search.searcher -> ')
    assert picture(let_in) not in PAGE


def test_nothing_between_the_composition_root_and_the_adapters_reaches_them() -> None:
    arrows = re.findall(r"(\w+) (?:-->|-\. \"[\w.]+\" \.->) floor(\d+)", _part("The house"))
    adapters = next(n for n, rooms in enumerate(floors_of(contracts_of(PYPROJECT))) if rooms == ["adapters"])
    assert [source for source, floor in arrows if int(floor) == adapters] == ["app"]


@pytest.mark.parametrize("heading", ["The life of one change", "Where do I put …", "Words"])
def test_every_file_that_is_pointed_at_is_there(heading: str) -> None:
    named = list(_files(_part(heading)))
    assert len(named) > 10
    assert [path.relative_to(ROOT).as_posix() for path in named if not path.exists()] == []


@pytest.mark.parametrize("row", _rows("Where do I put …"), ids=lambda row: row.split("|")[1].strip())
def test_every_name_of_a_row_stands_in_a_file_of_the_row(row: str) -> None:
    sources = [path.read_text(encoding="utf-8") for path in _files(row) if path.suffix == ".py"]
    names = [name for name in _NAME.findall(row) if name not in {"domain", "ports"}]
    assert [name for name in names if not any(re.search(rf"\b{name}\b", source) for source in sources)] == []


def test_the_likeliest_changes_have_a_row_each() -> None:
    assert len(_rows("Where do I put …")) == LIKELIEST
