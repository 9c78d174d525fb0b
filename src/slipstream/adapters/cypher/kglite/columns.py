"""Names of the columns of a result: their alias, or the caller's text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipstream.adapters.cypher.kglite.grammar import Part
from slipstream.adapters.cypher.kglite.tokens import refused

_ENDS_ITEMS = frozenset({"ORDER", "SKIP", "LIMIT", "UNION"})


@dataclass(frozen=True, slots=True)
class Columns:
    """The items of the RETURN that names the columns."""

    items: tuple[str | None, ...] = ()
    """The text of each item; None for an item with an alias."""
    after_star: bool = False
    """Whether the items follow `*`, which stands for any number of columns."""

    def named(self, found: Sequence[str]) -> list[str]:
        """Return the names of kglite's columns; raises `InvalidInputError` when two are the same."""
        names = list(found)
        offset = len(names) - len(self.items) if self.after_star else 0
        for number, item in enumerate(self.items):
            if item is not None and 0 <= offset + number < len(names):
                names[offset + number] = item
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise refused(f"returns two columns called {twice!r}: give one another name with AS")
        return names


def columns_of(cypher: str, parts: Sequence[Part]) -> Columns:
    """Return the items of the first RETURN outside of brackets, which names the columns of a UNION too."""
    start = next((index for index in _outside(parts, 0) if parts[index].word == "RETURN"), None)
    if start is None:
        return Columns()
    start += 1
    if start < len(parts) and parts[start].word == "DISTINCT":
        start += 1
    items, begin = [], start
    end = next((index for index in _outside(parts, start) if parts[index].word in _ENDS_ITEMS), len(parts))
    for index in _outside(parts, start, end):
        if parts[index].symbol == ",":
            items.append(range(begin, index))
            begin = index + 1
    items.append(range(begin, end))
    after_star = bool(items[0]) and parts[items[0][0]].symbol == "*"
    return Columns(tuple(_text(cypher, parts, item) for item in items[after_star:]), after_star)


def _text(cypher: str, parts: Sequence[Part], item: range) -> str | None:
    if not item or any(parts[index].word == "AS" for index in _outside(parts, item.start, item.stop)):
        return None
    return cypher[parts[item[0]].token.start : parts[item[-1]].token.end]


def _outside(parts: Sequence[Part], start: int, end: int | None = None) -> Iterator[int]:
    """Yield the places from `start` on that are outside of brackets opened there, opening brackets included."""
    index = start
    while index < (len(parts) if end is None else end):
        yield index
        index = parts[index].close if parts[index].close > index else index + 1
