"""What somebody may have meant by a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def nearest(given: object, known: Collection[str]) -> str | None:
    """Return the known name that is most like the given one, None when none is."""
    by_lower = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(str(given).lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def near_miss(given: object, known: Collection[str]) -> str:
    """Return the end of a message about an unknown name: the known one that is near, or all of them."""
    near = nearest(given, known)
    return f"; did you mean {near!r}?" if near else f"; known are {', '.join(map(str, known))}"
