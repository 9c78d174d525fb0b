"""
`search --changed-since`: only records whose entity or relationship has changed since a moment, as the log tells.

A stamp can not tell that: it moves as well when a record is only compared. So the hits themselves are looked up in
the log, and as many more are asked for as it takes to have as many as were wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from slipstream.cli.asking import Asked
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef

K_MAX = 1_000
_FACTOR = 4
_PAGE = 250
_BEGINNING = "SELECT min(position) AS first FROM change"
_FIRST_SINCE = "SELECT coalesce(min(position), 9223372036854775807) AS first FROM change WHERE at >= :at"
_SINCE = "FROM change WHERE position >= :first AND at >= :at"
_OLDEST = "SELECT at FROM change ORDER BY position LIMIT 1"
_UNTOLD = f"SELECT count(*) AS count {_SINCE} AND kind = '*'"

Hit = Mapping[str, Any]
Ask = Callable[[int], Mapping[str, Any]]
"""Searches for so many hits."""


class ChangedSince:
    """Which records have changed since a moment."""

    def __init__(self, pkg: Asked, moment: datetime) -> None:
        self._pkg, self._at = pkg, int(moment.timestamp() * 1_000)
        self.warnings: list[str] = []
        self._when = {"at": self._at, "first": self._one(_FIRST_SINCE, at=self._at)["first"]}
        self._check(moment)

    def _check(self, moment: datetime) -> None:
        """Raise `InvalidInputError` where the log no longer reaches back so far; warn where it does not tell all."""
        first = self._one(_BEGINNING)["first"]
        oldest = self._pkg.call("pkg.query_sql", statement=_OLDEST, parameters={})
        if first is not None and first > 1 and (oldest[0]["at"] or 0) > self._at:
            reaches = datetime.fromtimestamp(oldest[0]["at"] / 1_000, UTC).isoformat(timespec="seconds")
            raise InvalidInputError(
                f"{moment.isoformat(timespec='seconds')} is before the log begins ({reaches}): give a later moment, "
                "or keep more of the log ([graph] log_kept_days)",
                field="changed_since",
            )
        if self._one(_UNTOLD, **self._when)["count"]:
            self.warnings.append("the log does not tell all that has changed since: a graph was restored or edited")

    def first(self, k: int, search: Ask) -> tuple[list[Hit], Mapping[str, Any]]:
        """Return the best `k` hits that have changed, fewer only where there are no more, and the last answer."""
        wanted = k
        while True:
            answer = search(wanted)
            hits = answer["hits"]
            kept = self._changed(hits)
            if len(kept) >= k or len(hits) < wanted:
                return kept[:k], answer
            if wanted >= K_MAX:
                self.warnings.append(
                    f"only the {K_MAX:,} nearest records were looked through: {len(kept)} of them have changed since"
                )
                return kept, answer
            wanted = min(K_MAX, max(wanted * _FACTOR, _PAGE))

    def _changed(self, hits: Sequence[Hit]) -> list[Hit]:
        related = self._pkg.call("pkg.schema")["relationship_types"]
        ids: tuple[list[str], list[str]] = ([], [])
        for hit in hits:
            ids[hit["entity_type"] in related].append(hit["entity_id"])
        found = {*self._entities(ids[False]), *self._relationships(ids[True])}
        return [hit for hit in hits if hit["entity_id"] in found]

    def _entities(self, ids: Sequence[str]) -> Iterator[str]:
        for row in self._among("id", "'+e', '~e'", [(name,) for name in ids]):
            yield str(row["id"])

    def _relationships(self, ids: Sequence[str]) -> Iterator[str]:
        for row in self._among("type, source, target, key", "'+r', '~r'", list(map(RelationshipRef.parse, ids))):
            yield RelationshipRef(row["type"], row["source"], row["target"], row["key"]).id

    def _among(self, columns: str, kinds: str, wanted: Sequence[Sequence[str]]) -> Iterator[Mapping[str, Any]]:
        """Yield those of the wanted rows that have changed: the log is read once for a page of them."""
        for start in range(0, len(wanted), _PAGE):
            named: dict[str, str] = {}
            rows: list[str] = []
            for at, values in enumerate(wanted[start : start + _PAGE]):
                own = {f"row{at}_{place}": value for place, value in enumerate(values)}
                rows.append(f"({', '.join(f':{name}' for name in own)})")
                named |= own
            there = f"kind IN ({kinds}) AND ({columns}) IN (VALUES {', '.join(rows)})"
            statement = f"SELECT DISTINCT {columns} {_SINCE} AND {there}"
            yield from self._pkg.call("pkg.query_sql", statement=statement, parameters={**named, **self._when})

    def _one(self, statement: str, **parameters: Any) -> Mapping[str, Any]:
        (row,) = self._pkg.call("pkg.query_sql", statement=statement, parameters=parameters)
        found: Mapping[str, Any] = row
        return found
