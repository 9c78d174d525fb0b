"""What a link leads to, as Obsidian and Logseq find it."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Sequence

from slipstream.importers.notes.markdown import NOTE_SUFFIXES


def path_key(path: str) -> str:
    """Return a path or a name as it is compared: without `.md`, in one Unicode form, whatever its case."""
    lowered = unicodedata.normalize("NFC", path).casefold()
    for suffix in NOTE_SUFFIXES:
        lowered = lowered.removesuffix(suffix)
    return lowered.strip().strip("/")


def last_of(key: str) -> str:
    """Return the name at the end of a path's key: what decides which notes it may lead to."""
    return key.rpartition("/")[2]


class NoteNames:
    """The notes of a vault by what links call them."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._by_page: dict[str, list[str]] = {}
        self._keys: dict[str, tuple[str, tuple[str, ...]]] = {}

    def add(self, path: str, pages: Sequence[str] = ()) -> None:
        """Add a note, or replace what is known of it; `pages` are further names of it, as Logseq has them."""
        self.remove(path)
        key, pages_of = path_key(path), tuple(path_key(page) for page in pages)
        self._keys[path] = key, pages_of
        self._by_name.setdefault(last_of(key), []).append(path)
        for page in pages_of:
            self._by_page.setdefault(page, []).append(path)

    def remove(self, path: str) -> None:
        """Forget a note; an unknown one is none."""
        if path not in self._keys:
            return
        key, pages = self._keys.pop(path)
        self._by_name[last_of(key)].remove(path)
        for page in pages:
            self._by_page[page].remove(path)

    def called(self, path: str) -> frozenset[str]:
        """Return the last names of everything that leads to a note."""
        if path not in self._keys:
            return frozenset()
        key, pages = self._keys[path]
        return frozenset(last_of(name) for name in (key, *pages))

    def find(self, target: str, source: str, *, is_path: bool = False) -> str | None:
        """
        Return the path of the note that a target leads to from a note; None when there is none.

        A path within the vault; else the notes whose path ends so: those in the source's folder or below first, then
        the shortest path. A target with `./` or `../`, and one of a Markdown link, is relative to the source first.
        """
        folder = posixpath.dirname(source)
        if target.startswith(("./", "../")) or is_path:
            found = self._at(path_key(posixpath.normpath(posixpath.join(folder, target))))
            if found is not None or target.startswith(("./", "../")):
                return found
        key = path_key(target)
        if not key:
            return None
        exact = self._at(key)
        if exact is not None and ("/" in key or target.startswith("/")):
            return exact
        ending, within = f"/{key}", f"{path_key(folder)}/" if folder else ""
        candidates = [
            path for path in self._by_name.get(last_of(key), ()) if f"/{self._keys[path][0]}".endswith(ending)
        ]
        candidates.sort(key=lambda path: (not self._keys[path][0].startswith(within), len(path), path))
        pages = self._by_page.get(key, ())
        return next(iter(candidates), None) or min(pages, default=None)

    def _at(self, key: str) -> str | None:
        found = [path for path in self._by_name.get(last_of(key), ()) if self._keys[path][0] == key]
        return min(found, default=None)
