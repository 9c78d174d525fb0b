"""A folder of notes, as Obsidian writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from slipstream.importers.options import ReadOptions
from tests.importers.case import Case
from tests.unit.importers.notes.vaults import write_vault

ADA = """\
---
type: Person
aliases: [Countess]
born: 1815
---
# Life

Wrote on the [[engine|Engine]]. #maths/logic
"""
NOTES: Mapping[str, str] = {
    "people/Ada.md": ADA,
    "Engine.md": "---\nid: engine-1\nversion: 1.10\n---\nNever built, see [[Nobody]].\n",
    "Byron.md": "Father of [[Ada]] #poet\n",
}


def _write(folder: Path, notes: Mapping[str, str | bytes]) -> list[Path]:
    return [write_vault(folder / "vault", notes)]


CASE = Case(
    write=lambda folder: _write(folder, NOTES),
    shorter=lambda folder: _write(folder, {path: text for path, text in NOTES.items() if path != "Byron.md"}),
    gone=frozenset({"v:Byron", "v:#poet"}),
    damaged={
        "bad YAML": lambda folder: _write(folder, {**NOTES, "bad.md": "---\na: b: c\n---\n"}),
        "not UTF-8": lambda folder: _write(folder, {**NOTES, "latin.md": b"caf\xe9"}),
        "one id twice": lambda folder: _write(folder, {**NOTES, "more.md": "---\nid: engine-1\n---\n"}),
        "no notes": lambda folder: _write(folder, {"a.txt": "no note"}),
    },
    entities={
        "v:people/Ada": (
            "Person",
            {
                "name": "Ada",
                "path": "people/Ada.md",
                "aliases": ["Countess"],
                "born": 1815,
                "tags": ["maths/logic"],
                "text": "Life\n\nWrote on the Engine. #maths/logic",
            },
        ),
        "engine-1": (
            "Note",
            {
                "name": "Engine",
                "path": "Engine.md",
                "version": "1.10",
                "vault": "v:",
                "text": "Never built, see Nobody.",
            },
        ),
        "v:Byron": ("Note", {"name": "Byron", "path": "Byron.md", "tags": ["poet"], "text": "Father of Ada #poet"}),
        "v:Nobody": ("Note", {}),
        "v:#maths": ("Tag", {"name": "maths"}),
        "v:#maths/logic": ("Tag", {"name": "maths/logic"}),
        "v:#poet": ("Tag", {"name": "poet"}),
    },
    relationships=frozenset(
        {
            "LINKS_TO:v%3Apeople/Ada:engine-1:alias=Engine",
            "TAGGED:v%3Apeople/Ada:v%3A#maths/logic",
            "PART_OF:v%3A#maths/logic:v%3A#maths",
            "LINKS_TO:engine-1:v%3ANobody",
            "LINKS_TO:v%3AByron:v%3Apeople/Ada",
            "TAGGED:v%3AByron:v%3A#poet",
        }
    ),
    options=ReadOptions(id_prefix="v:"),
    is_one_file=False,
)
