"""What one note says: its text in pieces, its properties, and what it links to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Link(NamedTuple):
    """A link as it is written: to a note by name or path (empty: in the note itself), or to a block of any note."""

    target: str
    heading: str = ""
    block: str = ""
    """A block's name: Obsidian's `^name`, or the id of a Logseq block."""
    alias: str = ""
    """What is shown in place of the target."""
    is_embed: bool = False
    is_path: bool = False
    """Whether it is a Markdown link, whose target is relative to the note's folder first."""
    field: str = ""
    """The property that holds it, for a link that is not in the text."""


class Piece(NamedTuple):
    """A heading (level 1 to 6), or a piece of text (level 0), as it is read."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """One note, read."""

    path: str
    """Within the vault, with `/`."""
    name: str
    type: str | None = None
    pieces: tuple[Piece, ...] = ()
    links: tuple[Link, ...] = ()
    tags: tuple[str, ...] = ()
    """Without `#`, each once whatever its case, in the order of the note."""
    aliases: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    """The other properties: front matter, and Logseq's page properties."""

    @property
    def text(self) -> str:
        """All of it as it is read, headings included."""
        return "\n\n".join(piece.text for piece in self.pieces)


def digest_of(text: str) -> bytes:
    """Return what two texts have in common when they are the same."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
