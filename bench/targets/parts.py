"""What the tasks of the present version share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import KeyKind, RecordKey

_PAGE = 10_000


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Give a clock that shows how many seconds the block took, once it has ended."""
    found: list[float] = []
    started_s = time.perf_counter()
    yield lambda: found[0]
    found.append(time.perf_counter() - started_s)


def entity_keys(pkg: Slipstream) -> list[RecordKey]:
    """Return the keys of all entities."""
    keys: list[RecordKey] = []
    after: RecordKey | None = None
    while rows := pkg.pkg.scan(after, _PAGE):
        keys.extend(row.key for row in rows if row.key.kind is KeyKind.ENTITY)
        after = rows[-1].key
    return keys
