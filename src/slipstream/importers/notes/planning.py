"""What is known of a whole vault before one note is read: names, ids, and which notes can not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from slipstream.domain.errors import InvalidInputError
from slipstream.importers.notes.identity import KnownNote, assign_ids
from slipstream.importers.notes.links import NoteNames
from slipstream.importers.notes.note import digest_of
from slipstream.importers.notes.note_rows import NoteRows
from slipstream.importers.notes.parsing import Names, names_in, parse_note
from slipstream.importers.notes.vault import Vault

Read = Callable[[str], str]
"""Returns the text of the note at a path; raises `InvalidInputError` when it can not be read."""


class VaultIndex:
    """What the notes of a vault are called, by what is written in them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self.names = NoteNames()
        self.blocks: dict[str, set[str]] = {}
        """The paths of the notes that hold a block, by the block's id."""
        self.own: dict[str, str] = {}
        """The ids that notes give themselves, by path."""
        self.refused: dict[str, InvalidInputError] = {}
        """Why a note can not be taken, by path."""
        self._holders: dict[str, str] = {}
        self._blocks_of: dict[str, tuple[str, ...]] = {}

    def learn(self, path: str) -> None:
        """Take a note in, new or changed."""
        self.forget(path)
        found = Names()
        try:
            found = names_in(path, self._read(path))
        except InvalidInputError as error:
            self.refused[path] = error
        self.names.add(path, found.pages)
        for block in found.blocks:
            self.blocks.setdefault(block, set()).add(path)
        self._blocks_of[path] = found.blocks
        if found.id is not None and found.id in self._holders:
            held = self._holders[found.id]
            self.refused[path] = InvalidInputError(f"is the id of {held} already: give one another", field="id")
        elif found.id is not None:
            self.own[path] = found.id
            self._holders[found.id] = path

    def forget(self, path: str) -> None:
        """Leave a note out that is gone; an unknown one is none."""
        self.names.remove(path)
        self.refused.pop(path, None)
        own = self.own.pop(path, None)
        if own is not None:
            del self._holders[own]
        for block in self._blocks_of.pop(path, ()):
            self.blocks[block].discard(path)

    def called(self, path: str) -> frozenset[str]:
        """Return what links may call a note, or a block of it."""
        return self.names.called(path) | frozenset(self._blocks_of.get(path, ()))


@dataclass(slots=True)
class Plan:
    """Which note has which id, and what can not be read."""

    rows: NoteRows
    refused: dict[str, InvalidInputError]
    """Why a note can not be taken, by path."""
    known: dict[str, KnownNote] = field(default_factory=dict)
    """What the graph had, by id."""


def plan_of(
    vault: Vault, known: Sequence[KnownNote], note_type: str, on_note: Callable[[], None] = lambda: None
) -> Plan:
    """Return the plan of a vault; `on_note` is called for each note, and may raise to stop."""
    index = VaultIndex(vault.text)
    for path in in_order(vault.files, known, vault.prefix):
        on_note()
        index.learn(path)
    ids = assign_ids(vault.files, index.own, known, vault.prefix, lambda path: content_of(vault.text, path))
    by_id = {note.id: note for note in known}
    absent = {path for path in index.refused if ids[path] not in by_id}
    rows = NoteRows(vault.prefix, note_type, index.names, ids, index.blocks, absent)
    return Plan(rows, index.refused, by_id)


def in_order(paths: Iterable[str], known: Sequence[KnownNote], prefix: str) -> list[str]:
    """Return the order to learn notes in: of two that give themselves one id, the one has it that the graph has."""
    have_own = {note.path for note in known if not note.id.startswith(prefix)}
    return sorted(paths, key=lambda path: (path not in have_own, path))


def content_of(read: Read, path: str) -> bytes | None:
    """Return what tells a note's content, as the graph has it; None of one that can not be read."""
    try:
        return digest_of(parse_note(path, read(path)).text)
    except InvalidInputError:
        return None
