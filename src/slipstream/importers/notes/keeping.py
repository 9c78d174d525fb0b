"""Keeps a graph equal to a folder of notes: what was touched is read anew, and written in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.positions import ORIGIN, Position
from slipstream.importers.notes.identity import KnownNote, assign_ids, known_notes
from slipstream.importers.notes.links import last_of, path_key
from slipstream.importers.notes.note import Note, digest_of
from slipstream.importers.notes.note_rows import NOTE, NoteRows
from slipstream.importers.notes.parsing import parse_note
from slipstream.importers.notes.planning import VaultIndex, content_of, in_order
from slipstream.importers.notes.vault import Vault
from slipstream.importers.notes.writing import KeptGraph, NoteWriter

PAGE = 200
"""Notes of one transaction: so few that other writers hardly wait."""
OnNote = Callable[[int, int], None]
"""Told how many steps are done, of how many."""


def tell_nobody(done: int, total: int) -> None:
    """Tell the progress to nobody."""
    del done, total


@dataclass(slots=True)
class Kept:
    """What was done to make the graph equal to the notes."""

    written: int = 0
    """Notes that were read and compared with the graph."""
    deleted: int = 0
    held_back: int = 0
    """Notes that are gone, but more than the brake allows to delete unasked."""
    plan_id: str | None = None
    """What confirms deleting just those."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why notes can not be taken, by path; what the graph has of them stays."""
    position: Position = ORIGIN

    @property
    def told_something(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.written or self.deleted or self.held_back or self.refused)


class VaultKeeper:
    """
    Makes a graph equal to a folder of notes: all of it (`catch_up`), or what was touched since (`take`).

    What the notes say is compared with what the graph has, so that doing it again, or after a kill, changes nothing
    that is right. Notes that are gone are deleted, within the brake; `confirm` is the plan of a deletion that was
    held back (`Kept.plan_id`). Raises `ConfigError` for a folder that can not be read.
    """

    def __init__(
        self,
        folder: Path,
        graph: KeptGraph,
        *,
        note_type: str | None = None,
        prefix: str | None = None,
        brake: BrakeSettings | None = None,
        confirm: str | None = None,
    ) -> None:
        self.vault = Vault(folder, prefix)
        self._graph, self._brake, self._confirm = graph, brake or BrakeSettings(), confirm
        self._index = VaultIndex(self.vault.text)
        self._known: dict[str, KnownNote] = {}
        names, blocks = self._index.names, self._index.blocks
        self._rows = NoteRows(self.vault.prefix, note_type or NOTE, names, {}, blocks, set())
        self._writer = NoteWriter(graph, self._rows, self._known)
        self._refused: set[str] = set()
        """Paths of notes that could not be taken; once they can, links to them are looked at again."""
        self._calls: dict[str, frozenset[str]] = {}
        self._callers: defaultdict[str, set[str]] = defaultdict(set)
        """By the last name of a link's target, or a block's id: the notes that have such a link."""

    def catch_up(self, on_note: OnNote = tell_nobody) -> Kept:
        """Compare every note with the graph; `on_note` is told how far it is."""
        self.vault.list_anew()
        known = known_notes(self._graph, self.vault.prefix, self._rows.note_type)
        for path in self._rows.ids:
            self._index.forget(path)
        for path in in_order(self.vault.files, known, self.vault.prefix):
            self._index.learn(path)
        self._known.clear()
        self._known |= {note.id: note for note in known}
        self._assign()
        return self._keep(self.vault.files, on_note, self._writer.of_no_note())

    def take(self, touched: Iterable[Path]) -> Kept:
        """Take in files and folders that were added, changed or removed; those that are no notes are passed over."""
        paths = {path for place in touched for path in self.vault.look_at(place)}
        if not paths:
            return Kept()
        before = {path: self._index.own.get(path) for path in paths}
        renamed = self._learn(paths)
        is_other = any(self._index.own.get(path) != own for path, own in before.items())
        if is_other:
            rivals = set(self._index.refused) - paths  # one of them may have an id now that another had
            renamed |= self._learn(rivals)
            paths |= rivals
        if is_other or renamed or any(path not in self._rows.ids for path in paths):
            others = self._assign()
            paths |= others
            renamed |= {name for path in others for name in self._index.called(path)}
        renamed |= {name for path in paths & self._refused for name in self._index.called(path)}
        callers = {path for name in renamed for path in self._callers.get(name, ())}
        return self._keep([path for path in self.vault.files if path in paths or path in callers])

    def _learn(self, paths: Collection[str]) -> set[str]:
        """Take in what the notes are called now, and return the names that lead elsewhere since."""
        renamed: set[str] = set()
        for path in sorted(paths, key=lambda path: (path not in self._index.own, path)):
            before = self._index.called(path)
            if path in self.vault.files:
                self._index.learn(path)
            else:
                self._index.forget(path)
                self._note_calls(path, frozenset())
            renamed |= before ^ self._index.called(path)
        return renamed

    def _assign(self) -> set[str]:
        """Give every note its id, and return the paths of those whose id is another one now."""
        before = dict(self._rows.ids)
        known, index = list(self._known.values()), self._index
        ids = assign_ids(
            self.vault.files, index.own, known, self.vault.prefix, lambda path: content_of(self.vault.text, path)
        )
        self._rows.ids.clear()
        self._rows.ids |= ids
        self._rows.absent.clear()
        self._rows.absent |= {path for path in index.refused if ids[path] not in self._known}
        return {path for path, note_id in ids.items() if before.get(path, note_id) != note_id}

    # ------------------------------------------------------------------ writing

    def _keep(
        self, paths: Collection[str], on_note: OnNote = tell_nobody, maybe_unused: Collection[str] = ()
    ) -> Kept:
        kept = Kept()
        gone = self._gone(kept)
        left = set(maybe_unused)
        pages = list(_pages(list(paths), PAGE))
        if len(pages) < 2 and len(gone) <= PAGE:
            notes = self._notes(paths, kept)
            with self._graph.transaction() as tx:
                left |= self._writer.delete(tx, gone)
                taken = self._writer.write_entities(tx, notes, kept.refused)
                left |= self._writer.write_relationships(tx, taken)
            kept.position = tx.position
            kept.written = len(taken)
        else:
            left |= self._in_pages(pages, gone, kept, on_note)
        kept.deleted = len(gone)
        kept.position = max(kept.position, self._writer.remove_unused(left))
        self._refused = (self._refused - set(paths)) | kept.refused.keys()
        return kept

    def _in_pages(self, pages: Sequence[Sequence[str]], gone: Sequence[str], kept: Kept, on_note: OnNote) -> set[str]:
        """Write many notes, a transaction for each page; relationships when all of their ends are there."""
        left = set[str]()
        for page in _pages(gone, PAGE):
            with self._graph.transaction() as tx:
                left |= self._writer.delete(tx, page)
            kept.position = tx.position
        total, done = 2 * sum(map(len, pages)), 0
        for page in pages:
            notes = self._notes(page, kept)
            with self._graph.transaction() as tx:
                kept.written += len(self._writer.write_entities(tx, notes, kept.refused))
            on_note(done := done + len(page), total)
        for page in pages:
            notes = [note for note in self._notes(page, kept) if note.path not in kept.refused]
            with self._graph.transaction() as tx:
                left |= self._writer.write_relationships(tx, notes)
            kept.position = tx.position
            on_note(done := done + len(page), total)
        return left

    def _gone(self, kept: Kept) -> list[str]:
        """Return the ids of notes whose files are gone; none, if they are more than the brake allows."""
        used = set(self._rows.ids.values())
        notes = [note for note in self._known.values() if note.path is not None]
        gone = [note.id for note in notes if note.id not in used]
        is_much = len(gone) > self._brake.limit(len(notes)) or not self.vault.files  # another folder is in its place
        if gone and is_much:
            plan_id = f"{len(gone)}-{digest_of(chr(10).join(sorted(gone))).hex()[:8]}"
            if plan_id != self._confirm:
                kept.held_back, kept.plan_id = len(gone), plan_id
                return []
        return gone

    def _notes(self, paths: Iterable[str], kept: Kept) -> list[Note]:
        """Read notes, and note what they link to; those that can not be taken are told."""
        found = []
        for path in paths:
            try:
                if path in self._index.refused:
                    raise self._index.refused[path]
                note = parse_note(path, self.vault.text(path))
            except InvalidInputError as error:
                kept.refused[path] = str(error)
                continue
            called = {last_of(path_key(link.target)) if link.target else link.block.lower() for link in note.links}
            self._note_calls(path, frozenset(called))
            found.append(note)
        return found

    def _note_calls(self, path: str, called: frozenset[str]) -> None:
        for name in self._calls.pop(path, frozenset()) - called:
            self._callers[name].discard(path)
        if called:
            self._calls[path] = called
        for name in called:
            self._callers[name].add(path)


def _pages(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[at : at + size] for at in range(0, len(items), size))
