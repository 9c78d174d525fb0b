"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def nearest_few(given: object, known: Collection[str], count: int) -> list[str]:
    """Return the known names that are most like the given one, the most alike first."""
    by_lower = {str(name).lower(): str(name) for name in known}
    return [by_lower[name] for name in difflib.get_close_matches(str(given).lower(), by_lower, n=count)]


def nearest(given: object, known: Collection[str]) -> str | None:
    """Return the known name that is most like the given one, None when none is."""
    return next(iter(nearest_few(given, known, 1)), None)


def near_miss(given: object, known: Collection[str]) -> str:
    """Return the end of a message about an unknown name: the known one that is near, or all of them."""
    near = nearest(given, known)
    return f"; did you mean {near!r}?" if near else f"; known are {', '.join(map(str, known))}"
