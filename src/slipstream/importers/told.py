"""What a reader tells of a source as a whole: what it took for something else, and what it did not take."""

from __future__ import annotations

NOTES_MAX = 20
_PLACES_MAX = 3


class Told:
    """Notes for people, each with how often it applied and where it did first; past `NOTES_MAX` only counted."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}
        self._others = 0

    def note(self, text: str, place: str = "") -> None:
        """Count a note; `place` is where it applies."""
        if text not in self._counts and len(self._counts) >= NOTES_MAX:
            self._others += 1
            return
        self._counts[text] = self._counts.get(text, 0) + 1
        places = self._places.setdefault(text, [])
        if place and place not in places and len(places) < _PLACES_MAX:
            places.append(place)

    def clear(self) -> None:
        """Forget everything: the source is read anew."""
        self._counts.clear()
        self._places.clear()
        self._others = 0

    @property
    def lines(self) -> list[str]:
        """The notes, in the order they came."""
        lines = [self._line(text, count) for text, count in self._counts.items()]
        return [*lines, f"{self._others:,} further notes of other kinds"] if self._others else lines

    def _line(self, text: str, count: int) -> str:
        places = ", ".join(self._places[text])
        times = f"{count:,} times" if count > 1 else ""
        told = ", ".join(part for part in (times, places and ("first " if count > 1 else "") + places) if part)
        return f"{text} ({told})" if told else text
