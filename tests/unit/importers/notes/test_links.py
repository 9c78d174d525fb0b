"""Links lead where Obsidian leads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.importers.notes.links import NoteNames

PATHS = ["Home.md", "a/Note.md", "b/Note.md", "b/deep/Note.md", "b/Only.md", "b/Über.md"]


def named(paths: list[str]) -> NoteNames:
    names = NoteNames()
    for path in paths:
        names.add(path)
    return names


@pytest.mark.parametrize(
    ("target", "source", "found"),
    [
        ("Only", "Home.md", "b/Only.md"),
        ("only.md", "Home.md", "b/Only.md"),
        ("ONLY", "a/Note.md", "b/Only.md"),
        ("U\u0308ber", "Home.md", "b/Über.md"),
        ("Note", "Home.md", "a/Note.md"),
        ("Note", "b/Only.md", "b/Note.md"),
        ("Note", "b/deep/Note.md", "b/deep/Note.md"),
        ("deep/Note", "Home.md", "b/deep/Note.md"),
        ("b/Note", "b/deep/Note.md", "b/Note.md"),
        ("/Home", "b/Only.md", "Home.md"),
        ("./Note", "b/deep/Note.md", "b/deep/Note.md"),
        ("../Note", "b/deep/Note.md", "b/Note.md"),
        ("../../a/Note.md", "b/deep/Note.md", "a/Note.md"),
        ("./Only", "Home.md", None),
        ("eep/Note", "Home.md", None),
        ("Nobody", "Home.md", None),
        ("../../../../Note", "b/deep/Note.md", None),
        ("", "Home.md", None),
    ],
)
def test_a_target_is_found(target: str, source: str, found: str | None) -> None:
    assert named(PATHS).find(target, source) == found


def test_a_markdown_link_is_relative_first() -> None:
    names = named(PATHS)
    assert names.find("Note.md", "b/deep/Note.md", is_path=True) == "b/deep/Note.md"
    assert names.find("Only.md", "b/deep/Note.md", is_path=True) == "b/Only.md"


def test_a_page_is_found_by_its_further_names_and_no_more_when_it_is_gone() -> None:
    names = named(PATHS)
    names.add("pages/x.md", ["The Title", "ns/Page"])
    assert names.find("the title", "Home.md") == names.find("ns/page", "Home.md") == "pages/x.md"
    assert names.called("pages/x.md") == {"x", "the title", "page"}
    names.remove("pages/x.md")
    names.remove("pages/x.md")
    assert names.find("the title", "Home.md") is None


PARTS = st.text(alphabet=st.sampled_from("aB/.é #\\"), max_size=8)


@given(st.lists(PARTS.map(lambda text: f"{text}.md"), max_size=6), PARTS, PARTS, st.booleans())
def test_any_target_is_looked_up(paths: list[str], target: str, source: str, is_path: bool) -> None:
    found = named(paths).find(target, f"{source}.md", is_path=is_path)
    assert found is None or found in paths
