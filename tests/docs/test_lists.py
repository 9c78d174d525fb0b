"""Closed lists stand in the documentation whole, and with nothing else: both ways, from the code's own lists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from slipstream.audit.classes import CLASSES
from slipstream.cli import codes
from slipstream.domain.incidents import IncidentKind
from slipstream.report.alert_rules import RULES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def _column(page: str, head: str) -> list[str]:
    """Return the first cells of the table that begins with a head."""
    text = (DOCS / page).read_text(encoding="utf-8")
    table = text.partition(f"\n{head}")[2].partition("\n\n")[0]
    return [name for line in table.splitlines()[2:] for name in re.findall(r"^\| `?([\w-]+)`? \|", line)]


@pytest.mark.parametrize(
    ("page", "head", "names"),
    [
        ("alerts.md", "| rule ", RULES),
        ("consistency.md", "| class ", CLASSES),
        ("incidents.md", "| incident ", tuple(kind.value for kind in IncidentKind)),
    ],
    ids=["alert-rules", "divergence-classes", "incidents"],
)
def test_a_table_has_a_row_for_each_and_no_other(page: str, head: str, names: tuple[str, ...]) -> None:
    rows = _column(page, head)
    assert sorted(rows) == sorted(names)


def test_the_page_of_exit_codes_has_each_code() -> None:
    ours = {value for name, value in vars(codes).items() if name.startswith("EXIT_")}
    assert {int(row) for row in _column("exit-codes.md", "| code ")} == {0, 130} | ours


def test_every_extra_is_told_where_it_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pages = [ROOT / "README.md", *DOCS.glob("*.md"), *(DOCS / "adapters").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    told = {extra for named in re.findall(r"slipstream-pkg\[([\w,-]+)\]", text) for extra in named.split(",")}
    told |= {
        extra
        for named in re.findall(r"extras? ((?:`[\w-]+`(?:, | and )?)+)", text)
        for extra in re.findall(r"[\w-]+", named)
    }
    extras = set(project["optional-dependencies"])
    assert extras <= told
    assert told <= extras | {"and"}


def test_the_readme_says_what_each_extra_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"The package is `{project['name']}`" in readme
    rows = re.findall(r"^\| ((?:`[\w-]+`(?:, )?)+) \| .+ \|$", readme, re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"[\w-]+", row)]
    assert sorted(told) == sorted(project["optional-dependencies"])
    named = {extra for names in re.findall(r"\.\[([\w,-]+)\]", readme) for extra in names.split(",")}
    assert named <= set(told)


def test_every_page_is_one_click_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", readme))
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md")}
    one_more = {page for page in pages if page.startswith("docs/adr/") and not page.endswith("/README.md")}
    assert pages - one_more - linked == set()
    assert "docs/adr/README.md" in linked, "which lists each decision: tests/docs/test_links.py"


def test_the_pythons_that_are_told_are_those_that_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [name.rpartition(" ")[2] for name in project["classifiers"] if ":: 3." in name]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {declared[0]} to {declared[-1]};" in readme
    [head] = re.findall(r"^\| \| (3\..+) \|$", (DOCS / "installing.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert head.split(" | ") == declared
