"""Markdown becomes the text that is read, with its links and tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.importers.notes.markdown import read_markdown
from slipstream.importers.notes.note import Link, Piece
from slipstream.importers.notes.sections import SIZE_MAX, sections_of

UUID = "64f1a2b3-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("written", "read", "link"),
    [
        ("[[Note]]", "Note", Link("Note")),
        ("[[folder/Note|alias]]", "alias", Link("folder/Note", alias="alias")),
        ("[[Note#Heading]]", "Note > Heading", Link("Note", "Heading")),
        ("[[Note#A#B|x]]", "x", Link("Note", "A#B", alias="x")),
        ("[[#Heading]]", "Heading", Link("", "Heading")),
        ("[[Note#^block]]", "Note", Link("Note", block="^block")),
        ("![[embed]]", "embed", Link("embed", is_embed=True)),
        ("![[pic.png|300x200]]", "pic.png", Link("pic.png", alias="300x200", is_embed=True)),
        ("*[[em_ph_asis]]*", "em_ph_asis", Link("em_ph_asis")),
        ("[label](Sub/My%20Note.md#Top)", "label", Link("Sub/My Note.md", "Top", alias="label", is_path=True)),
        (f"see (({UUID}))", "see", Link("", block=UUID)),
        (f"[label]((({UUID})))", "label", Link("", block=UUID, alias="label")),
        (f"{{{{embed (({UUID}))}}}} x", "x", Link("", block=UUID, is_embed=True)),
        ("{{embed [[Page]]}}", "Page", Link("Page", is_embed=True)),
        ("# On [[Note]]", "On Note", Link("Note")),
        ("> [!tip]- Read [[Note]]", "Read Note", Link("Note")),
        ("- [ ] do [[Note]]", "do Note", Link("Note")),
    ],
)
def test_a_link_is_read_and_noted(written: str, read: str, link: Link) -> None:
    found = read_markdown(written)
    assert [piece.text for piece in found.pieces] == [read]
    assert found.links == [link]


@pytest.mark.parametrize(
    "written",
    [
        "`[[Note]] #tag`",
        "```\n[[Note]] #tag\n```",
        "    [[Note]] #tag",
        "%% [[Note]] #tag %%",
        "<!-- [[Note]] #tag -->",
        "\\[[Note\\]]",
        "[[]]",
        "[web](https://example.org/a.md)",
        "a#tag",
        "#1",
        "# heading",
        "[[a\nb]]",
        "((no uuid))",
    ],
)
def test_what_only_looks_like_a_link_is_none(written: str) -> None:
    found = read_markdown(written)
    assert (found.links, found.tags) == ([], {})


def test_a_link_in_a_table_has_its_bar() -> None:
    found = read_markdown("| a | b |\n|---|---|\n| [[x\\|y]] | 2 |\n")
    assert [piece.text for piece in found.pieces] == ["a | b", "y | 2"]
    assert found.links == [Link("x", alias="y")]


def test_code_stays_as_it_is() -> None:
    found = read_markdown("Use `x[[0]]`:\n\n```py\nprint('%% kept %%')\n```\n")
    assert [piece.text for piece in found.pieces] == ["Use x[[0]]:", "print('%% kept %%')"]


def test_tags_are_noted_once_whatever_their_case() -> None:
    found = read_markdown("#Tag #tag #a/b/ #[[several words]] (#no) #2024 #y2024 #ünï #🎉 #e-mail")
    assert list(found.tags.values()) == ["Tag", "a/b", "several words", "y2024", "ünï", "🎉", "e-mail"]


def test_properties_of_a_page_are_no_text_and_those_of_blocks_are() -> None:
    found = read_markdown(f"title:: Page\nrating:: 5\n\n- one\n  id:: {UUID}\n  status:: done\n")
    assert found.properties == {"title": "Page", "rating": "5"}
    assert [piece.text for piece in found.pieces] == ["one\nstatus: done"]


def test_a_property_without_a_value_is_an_empty_one() -> None:
    assert read_markdown("template::\nrating:: 5\n").properties == {"template": "", "rating": "5"}
    assert [piece.text for piece in read_markdown("text\n\n- one\n  status::\n").pieces] == ["text", "one\nstatus:"]
    assert read_markdown("a::b\n").properties == {}


def test_long_notes_have_sections_and_short_ones_none() -> None:
    short = [Piece(1, "A"), Piece(0, "x" * 100)]
    assert sections_of(short) == []
    words = " ".join(f"word{number}" for number in range(400))
    long = [Piece(0, "start"), Piece(1, "A"), Piece(0, words), Piece(2, "B"), Piece(1, "A"), Piece(0, words)]
    sections = sections_of(long)
    assert [section.key for section in sections] == [
        "^",
        "A",
        "A/2",
        "A/3",
        "A/4",
        "B",
        "A~2",
        "A/2~2",
        "A/3~2",
        "A/4~2",
    ]
    assert all(len(section.text) <= SIZE_MAX for section in sections)
    assert " ".join(section.text for section in sections[1:5]).split() == words.split()


def test_short_sections_that_follow_each_other_are_one() -> None:
    pieces = [piece for number in range(20) for piece in (Piece(2, f"H{number}"), Piece(0, "text " * 30))]
    sections = sections_of(pieces)
    assert [section.heading for section in sections] == ["H0", "H6", "H12", "H18"]
    assert all(len(section.text) <= SIZE_MAX for section in sections)
    assert sections[0].text.split("\n\n")[1:3] == ["H1", ("text " * 30).strip()]


@given(
    st.lists(
        st.sampled_from(
            [
                "[[",
                "]]",
                "|",
                "#",
                "^",
                "!",
                "((",
                "))",
                "\n",
                "- ",
                "`",
                "a",
                "::",
                " ",
                "\\",
                "%%",
                "==",
                "{{embed ",
                "}}",
                "](",
                "[",
                ")",
                UUID,
                "---\n",
                "|-|",
                "<",
                ">",
                "\t",
                "é",
            ]
        )
    ).map("".join)
)
def test_any_markup_is_read(text: str) -> None:
    found = read_markdown(text)
    sections_of(found.pieces)
    assert all(piece.text.strip() for piece in found.pieces)
