"""The project's own sources, parsed once for the tests of this folder."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "slipstream"


@dataclass(frozen=True)
class Source:
    """One file: its path below `src/slipstream`, its text and its syntax tree."""

    shown: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, text: str, shown: str = "domain/sample.py") -> Source:
        """Parse a text, as if it stood at that path."""
        return cls(shown, text, ast.parse(text))

    @property
    def area(self) -> str:
        """The package of the house that the file belongs to (the file's own name at the top level)."""
        return Path(self.shown).parts[0].removesuffix(".py")

    def is_in(self, *places: str) -> bool:
        """Whether the file is one of these places (`cli`, `adapters/embedders`, `app/composition`) or below one."""
        return any(self.shown == place or self.shown.startswith(f"{place}/") for place in places)


@cache
def sources() -> tuple[Source, ...]:
    """Return all files of the package, in order of their paths."""
    return tuple(
        Source.of(path.read_text(encoding="utf-8"), path.relative_to(SOURCES).as_posix())
        for path in sorted(SOURCES.rglob("*.py"))
    )
