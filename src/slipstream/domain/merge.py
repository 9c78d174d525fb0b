"""Join of two ordered streams of keys: the one way in which graph and index are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

L = TypeVar("L")
R = TypeVar("R")


def merge_join(
    left: Iterable[L], right: Iterable[R], left_key: Callable[[L], str], right_key: Callable[[R], str]
) -> Iterator[tuple[L | None, list[R]]]:
    """
    Yield each left item with all right items of the same key; right items of no left key come with None.

    Both sides must be ordered by their key; the left keys are distinct. Holds the items of one key at a time.
    """
    rights = _grouped(right, right_key)
    group = next(rights, None)
    for item in left:
        key = left_key(item)
        while group is not None and group[0] < key:
            yield None, group[1]
            group = next(rights, None)
        if group is not None and group[0] == key:
            yield item, group[1]
            group = next(rights, None)
        else:
            yield item, []
    while group is not None:
        yield None, group[1]
        group = next(rights, None)


def _grouped(items: Iterable[R], key_of: Callable[[R], str]) -> Iterator[tuple[str, list[R]]]:
    group: list[R] = []
    current: str | None = None
    for item in items:
        key = key_of(item)
        if group and key != current:
            yield current or "", group
            group = []
        current = key
        group.append(item)
    if group:
        yield current or "", group
