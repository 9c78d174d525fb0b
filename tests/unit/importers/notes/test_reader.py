"""Vaults as Obsidian and Logseq write them, and damaged ones."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.notes.identity import KnownNote
from slipstream.importers.notes.note import digest_of
from slipstream.importers.notes.reader import reader
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import Stage
from tests.unit.importers.notes.vaults import (
    VAULTS,
    links_in,
    mentioned_in,
    notes_in,
    refused_in,
    rows_of,
    write_vault,
)

ADA, BABBAGE, ENGINE = "obsidian/People/Ada Lovelace", "obsidian/People/Charles Babbage", "engine-1"


def test_a_vault_of_obsidian() -> None:
    rows = rows_of(VAULTS / "obsidian")
    notes = notes_in(rows)
    assert {note.id: note.type for note in notes.values()} == {
        ADA: "Note",
        BABBAGE: "Note",
        ENGINE: "Machine",
        "obsidian/Home": "Note",
    }
    ada = dict(notes[ADA].properties)
    text = ada.pop("text")
    assert ada == {
        "name": "Ada Lovelace",
        "path": "People/Ada Lovelace.md",
        "aliases": ["Countess of Lovelace"],
        "tags": ["person/mathematician", "translation"],
        "born": "1815-12-10",
        "version": "1.10",
        "code": "0123",
        "at": "12:30",
        "on": "yes",
        "country": "NO",
        "rating": 4.5,
        "visited": True,
        "mentor": "De Morgan",
    }
    assert text.startswith("Early life\n\nShe met Charles Babbage and wrote notes on the engine's design.")
    assert "Publish the notes" in text
    assert 'print("[[not a link]]", "#not-a-tag")' in text
    assert "comment" not in text
    assert notes["obsidian/Home"].properties["text"].startswith("Everything starts here.")


def test_links_of_obsidian() -> None:
    rows = rows_of(VAULTS / "obsidian")
    assert mentioned_in(rows) == {
        "obsidian/#person",
        "obsidian/#person/mathematician",
        "obsidian/#translation",
        "obsidian/Augusta de Morgan",
        "obsidian/Countess of Lovelace",
        "obsidian/Plans for 2030",
    }
    assert links_in(rows) == {
        (ADA, "LINKS_TO", BABBAGE),
        (ADA, "LINKS_TO", ENGINE),
        (ADA, "LINKS_TO", ADA),
        (ADA, "EMBEDS", ENGINE),
        (ADA, "LINKS_TO", "obsidian/Home"),
        (ADA, "LINKS_TO", "obsidian/Augusta de Morgan"),
        (ADA, "TAGGED", "obsidian/#person/mathematician"),
        (ADA, "TAGGED", "obsidian/#translation"),
        ("obsidian/#person/mathematician", "PART_OF", "obsidian/#person"),
        (BABBAGE, "LINKS_TO", ENGINE),
        (BABBAGE, "LINKS_TO", ADA),
        (BABBAGE, "LINKS_TO", "obsidian/Countess of Lovelace"),
        (ENGINE, "LINKS_TO", ADA),
        ("obsidian/Home", "LINKS_TO", ADA),
        ("obsidian/Home", "LINKS_TO", "obsidian/Plans for 2030"),
    }
    assert reader(VAULTS / "obsidian", ReadOptions()).notes == ["1 file is no note, and was not taken: 1 .png"]


def test_a_graph_of_logseq() -> None:
    rows = rows_of(VAULTS / "logseq")
    engine, babbage = "logseq/pages/Analytical Engine", "logseq/pages/Charles Babbage"
    difference, day = "logseq/pages/projects___Difference Engine", "logseq/journals/1837_01_05"
    notes = notes_in(rows)
    assert {note.properties["name"] for note in notes.values()} == {
        "Analytical Engine",
        "Charles Babbage",
        "projects/Difference Engine",
        "1837-01-05",
    }
    assert notes[engine].properties["aliases"] == ["Engine", "The Engine"]
    assert notes[engine].properties["tags"] == ["machine", "early computing", "steam", "never finished"]
    assert notes[babbage].properties["text"].split("\n\n") == [
        "Life",
        "Worked on The Engine from Jan 5th, 1837",
        "As told:",
        "Analytical Engine",
    ]
    assert {link for link in links_in(rows) if link[1] != "TAGGED"} == {
        (engine, "LINKS_TO", babbage),
        (babbage, "LINKS_TO", engine),
        (babbage, "LINKS_TO", day),
        (babbage, "EMBEDS", engine),
        (difference, "LINKS_TO", babbage),
        (day, "LINKS_TO", difference),
    }


def test_the_same_from_a_zip_with_the_folder_in_it(tmp_path: Path) -> None:
    pack = tmp_path / "export.zip"
    with zipfile.ZipFile(pack, "w") as packed:
        for file in sorted((VAULTS / "obsidian").rglob("*")):
            packed.write(file, f"obsidian/{file.relative_to(VAULTS / 'obsidian')}")
    found = reader(source_files([pack]), ReadOptions())
    zipped = [row for stage in Stage for row in found.rows(stage, lambda done: None)]
    assert zipped == rows_of(VAULTS / "obsidian")


def test_damaged_notes_are_refused_by_name_and_the_rest_goes_on(tmp_path: Path) -> None:
    notes: dict[str, str | bytes] = {
        "good.md": "[[latin]] [[broken]]",
        "latin.md": b"caf\xe9",
        "broken.md": "---\na: b: c\n---\n",
        "twice.md": "---\nid: x\n---\n",
        "zwice.md": "---\nid: x\n---\n",
        "typed.md": "---\ntype: [a]\n---\n",
    }
    rows = rows_of(write_vault(tmp_path / "V", notes))
    assert set(notes_in(rows)) == {"V/good", "x"}
    refused = refused_in(rows)
    assert set(refused) == {"latin.md", "broken.md", "zwice.md", "typed.md"}
    assert "not UTF-8 (byte 0xe9 at 3)" in refused["latin.md"]
    assert "twice.md" in refused["zwice.md"]
    assert {"V/latin", "V/broken"} <= mentioned_in(rows)
    assert ("V/good", "LINKS_TO", "V/latin") in links_in(rows)


def test_a_note_that_can_not_be_read_now_is_still_said_if_it_is_known(tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {"a.md": b"\xff", "b.md": "[[a]]"})
    known = [KnownNote("V/a", "a.md", digest_of("before"), "Person")]
    rows = rows_of(folder, known=lambda: known)
    assert [row.content[:2] for row in rows if row.where == "a.md"][1:] == [("V/a", "Person")]
    assert mentioned_in(rows) == {"V/a"}


def test_links_to_a_moved_note_lead_to_the_id_that_it_had(tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {"new/Place.md": "its text", "b.md": "[[Place]]"})
    known = [KnownNote("V/Old", "Old.md", digest_of("its text"), "Note"), KnownNote("V/b", "b.md", b"", "Note")]
    rows = rows_of(folder, known=lambda: known)
    assert set(notes_in(rows)) == {"V/Old", "V/b"}
    assert links_in(rows) == {("V/b", "LINKS_TO", "V/Old")}


def test_options_say_type_and_prefix_and_what_means_nothing_is_refused(tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {"a.md": "[[b]]"})
    rows = rows_of(folder, options=ReadOptions(entity_type="Page", id_prefix="wiki:"))
    assert [(row.content.id, row.content.type) for row in rows[:2]] == [  # type: ignore[union-attr]
        ("wiki:a", "Page"),
        ("wiki:b", "Page"),
    ]
    with pytest.raises(InvalidInputError, match="means nothing"):
        reader(folder, ReadOptions(delimiter=";"))


def test_a_folder_without_notes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no notes"):
        reader(write_vault(tmp_path / "V", {"a.txt": "", ".obsidian/b.md": ""}), ReadOptions())


def test_both_readings_give_the_same_numbers_also_when_the_first_is_left_out(tmp_path: Path) -> None:
    folder = write_vault(tmp_path / "V", {"a.md": "[[b]]", "b.md": "---\na: b: c\n---\n", "c.md": "[[a]]"})
    whole, resumed = reader(folder, ReadOptions()), reader(folder, ReadOptions())
    list(whole.rows(Stage.ENTITIES, lambda done: None))
    told: list[int] = []
    rows = list(whole.rows(Stage.RELATIONSHIPS, told.append))
    assert [row.number for row in rows] == [1, 3]
    assert rows == list(resumed.rows(Stage.RELATIONSHIPS, lambda done: None))
    assert told[-1] == whole.size_bytes
