"""What a note comes to in a graph: entities, and the relationships between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from slipstream.importers.notes.identity import VAULT
from slipstream.importers.notes.links import NoteNames, path_key
from slipstream.importers.notes.note import Link, Note
from slipstream.importers.notes.sections import sections_of
from slipstream.importers.rows import EntityRow, RelationshipRow

NOTE, SECTION, TAG = "Note", "Section", "Tag"
LINKS_TO, EMBEDS, TAGGED, PART_OF = "LINKS_TO", "EMBEDS", "TAGGED", "PART_OF"
_PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".webp", ".avif", ".heic", ".tif", ".tiff", ".drawio"}
_MEDIA = {".mp3", ".wav", ".m4a", ".ogg", ".flac", ".3gp", ".webm", ".mp4", ".mov", ".mkv", ".ogv"}
_PAPERS = {".pdf", ".epub", ".csv", ".xlsx", ".docx", ".pptx", ".zip", ".html", ".txt", ".json", ".edn"}
_FILES = _PICTURES | _MEDIA | _PAPERS | {".canvas", ".base", ".excalidraw"}
"""Endings of what is linked to, but no note."""


@dataclass(slots=True)
class NoteRows:
    """Turns notes of one vault into rows; the same note among the same notes gives the same rows."""

    prefix: str
    note_type: str
    names: NoteNames
    ids: dict[str, str]
    """The id of each note, by path."""
    blocks: dict[str, set[str]]
    """The paths of the notes that hold a block, by the block's id (Logseq)."""
    absent: set[str]
    """Paths of notes that can not be read and are not in the graph: a link to one is to a mentioned entity."""

    def entities(self, note: Note) -> Iterator[EntityRow]:
        """Yield the note, its sections, its tags, and what it links to that is no note (yet)."""
        note_id = self.ids[note.path]
        sections = sections_of(note.pieces)
        yield EntityRow(note_id, note.type or self.note_type, self._properties(note))
        for section in sections:
            properties = {"name": section.heading or note.name, "note": note.name, "text": section.text or None}
            yield EntityRow(_section_id(note_id, section.key), SECTION, _present(properties))
        for tag in note.tags:
            for each in _tag_and_above(tag):
                yield EntityRow(self.tag_id(each), TAG, {"name": each}, is_mentioned=True)
        mentioned = set[str]()
        for target_id, target in self._targets(note):
            path = self.names.find(target.target, note.path, is_path=target.is_path)
            is_there = path is not None and path not in self.absent
            if target.target and not is_there and target_id not in mentioned:
                mentioned.add(target_id)
                yield EntityRow(target_id, self.note_type, is_mentioned=True)

    def relationships(self, note: Note) -> Iterator[RelationshipRow]:
        """Yield what the note links to, embeds and is tagged with, and which sections are part of it."""
        note_id = self.ids[note.path]
        yield from self.parts(note)
        for tag in note.tags:
            below = note_id
            for each in reversed(list(_tag_and_above(tag))):
                yield RelationshipRow(below, TAGGED if below == note_id else PART_OF, self.tag_id(each))
                below = self.tag_id(each)
        seen: set[tuple[str, str, str]] = set()
        for target_id, link in self._targets(note):
            kind = EMBEDS if link.is_embed else LINKS_TO
            told = {"heading": link.heading, "block": link.block, "alias": link.alias, "field": link.field}
            shown = {name: value for name, value in told.items() if value}
            key = "|".join(f"{name}={value}" for name, value in shown.items())[:1_000]
            if (kind, target_id, key) not in seen:
                seen.add((kind, target_id, key))
                yield RelationshipRow(note_id, kind, target_id, shown, key)

    def parts(self, note: Note) -> Iterator[RelationshipRow]:
        """Yield which sections are part of the note."""
        note_id = self.ids[note.path]
        for section in sections_of(note.pieces):
            yield RelationshipRow(_section_id(note_id, section.key), PART_OF, note_id)

    @property
    def tags_prefix(self) -> str:
        """What the ids of tags begin with."""
        return f"{self.prefix}#"

    def tag_id(self, tag: str) -> str:
        """Return the id of a tag, whatever its case."""
        return f"{self.tags_prefix}{tag.casefold()}"

    def _targets(self, note: Note) -> Iterator[tuple[str, Link]]:
        """Yield the id that each link leads to; those to files, and to blocks that nobody has, lead nowhere."""
        for link in note.links:
            if link.target:
                path = self.names.find(link.target, note.path, is_path=link.is_path)
                if path is not None:
                    yield self.ids[path], link
                elif not self._is_file(link, note.path):
                    mentioned = self.mention_id(link.target)
                    if mentioned is not None:
                        yield mentioned, link
            elif link.block and not link.block.startswith("^"):
                holders = self.blocks.get(link.block.lower())
                if holders:
                    yield self.ids[min(holders)], link
            else:
                yield self.ids[note.path], link

    def _properties(self, note: Note) -> Mapping[str, Any]:
        own = {
            "name": note.name,
            "path": note.path,
            "text": note.text or None,
            "aliases": list(note.aliases) or None,
            "tags": list(note.tags) or None,
            VAULT: None if self.ids[note.path].startswith(self.prefix) else self.prefix,
        }
        return _present({**note.fields, **own})

    def mention_id(self, target: str) -> str | None:
        """Return the id of a note that is not there, made of what it is called; None when it has no name."""
        if not path_key(target):
            return None
        parts = [part for part in target.replace("\\", "/").split("/") if part.strip() not in ("", ".", "..")]
        name = "/".join(parts).strip()
        name = name[: -len(PurePosixPath(name).suffix)] if name.lower().endswith((".md", ".markdown")) else name
        return f"{self.prefix}{name}"[:1_024] if name else None

    def _is_file(self, link: Link, source: str) -> bool:
        suffix = PurePosixPath(link.target).suffix.lower()
        return suffix in _FILES and self.names.find(link.target, source, is_path=link.is_path) is None


def _present(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}


def _section_id(note_id: str, key: str) -> str:
    return f"{note_id}#{key}"


def _tag_and_above(tag: str) -> Iterator[str]:
    """Yield what a nested tag is within, from above, and the tag: `a`, `a/b`."""
    parts = tag.split("/")
    for length in range(1, len(parts) + 1):
        yield "/".join(parts[:length])
