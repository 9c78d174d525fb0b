"""The audit's memory in the store's file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from slipstream.adapters.indexes.sqlite.codec import select_in
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead
from slipstream.domain.digests import TERM_SIZE_BYTES, Digest
from slipstream.ports.audits import Seal

_HIDDEN = ""
"""The report of an audit that is not complete, and is not shown."""
_FINDINGS_AT_ONCE = 1_000
"""How many are written in one transaction: the engine writes to the same file, and waits for no more than these."""
_HOLDING = "SELECT DISTINCT (SELECT max(after) FROM leaves WHERE after < k.value) FROM json_each(?) AS k"
_REMOVE_FINDINGS = """
DELETE FROM findings WHERE audit = ? AND (kind, key) IN (SELECT kind, key FROM findings WHERE audit = ? LIMIT ?)
"""


class SqliteAudits:
    """
    A `LeafStore` and `AuditLog`, made by `SqliteStore`; shares transactions with its index and journal.

    A leaf is one row: its keys and types as JSON, its terms as one blob, in the order of the keys.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ leaves

    def heads(self) -> Sequence[LeafHead]:
        """Return the digests of all leaves."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT after, digests FROM leaves ORDER BY after").fetchall()
        decoded = decoded_digests(text for _, text in rows)
        return [LeafHead(after, by_type) for (after, _), by_type in zip(rows, decoded, strict=True)]

    def leaves(self, afters: Sequence[str]) -> Sequence[Leaf]:
        """Return whole leaves."""
        query = "SELECT after, keys, types, terms FROM leaves WHERE after IN ({})"
        with self._database.reading() as connection:
            found = {row[0]: row for row in select_in(connection, query, dict.fromkeys(afters))}
        return [_leaf(*found[after]) for after in sorted(found)]

    def holding(self, keys: Sequence[str]) -> Sequence[Leaf]:
        """Return the leaves whose ranges hold the keys."""
        with self._database.reading() as connection:
            found = connection.execute(_HOLDING, (json.dumps(list(keys)),)).fetchall()
        return self.leaves([after for (after,) in found if after is not None])

    def total(self) -> Mapping[str, Digest]:
        """Return the sum of all heads."""
        with self._database.reading() as connection:
            return summed_digests(text for (text,) in connection.execute("SELECT digests FROM leaves"))

    def put_leaves(self, leaves: Iterable[Leaf], *, remove: Sequence[str] = ()) -> None:
        """Remove and add leaves in one transaction."""
        rows = [_leaf_row(leaf) for leaf in leaves]
        with self._database.writing() as connection:
            connection.executemany("DELETE FROM leaves WHERE after = ?", ((after,) for after in remove))
            connection.executemany(
                "REPLACE INTO leaves (after, digests, keys, types, terms) VALUES (?, ?, ?, ?, ?)", rows
            )

    def clear_leaves(self) -> None:
        """Forget all leaves."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM leaves")

    # ------------------------------------------------------------------ evidence

    def keep(self, report: Mapping[str, Any], findings: Iterable[Finding], seal: Seal | None = None) -> int:
        """Keep an audit in one transaction, or, if it found much, in pieces: it then appears with the last one."""
        self._clean_up()
        remaining = iter(findings)
        page = list(islice(remaining, _FINDINGS_AT_ONCE))
        with self._database.writing() as connection:
            audit_id = int(connection.execute("INSERT INTO audits (report) VALUES (?)", (_HIDDEN,)).lastrowid or 0)
            _put_findings(connection, audit_id, page)
            if len(page) < _FINDINGS_AT_ONCE:
                _show(connection, audit_id, report, seal)
                return audit_id
        while page := list(islice(remaining, _FINDINGS_AT_ONCE)):
            with self._database.writing() as connection:
                _put_findings(connection, audit_id, page)
        with self._database.writing() as connection:
            _show(connection, audit_id, report, seal)
        return audit_id

    def forget(self, ids: Collection[int]) -> None:
        """Hide audits in one transaction, then remove them piece by piece."""
        with self._database.writing() as connection:
            hidden = ((_HIDDEN, audit_id) for audit_id in ids)
            connection.executemany("UPDATE audits SET report = ? WHERE id = ?", hidden)
        self._clean_up()

    def _clean_up(self) -> None:
        """Remove hidden audits: forgotten ones, and those left by a process that died while keeping one."""
        with self._database.reading() as connection:
            hidden = connection.execute("SELECT id FROM audits WHERE report = ?", (_HIDDEN,)).fetchall()
        for (audit_id,) in hidden:
            removed = _FINDINGS_AT_ONCE
            while removed == _FINDINGS_AT_ONCE:
                with self._database.writing() as connection:
                    removed = connection.execute(_REMOVE_FINDINGS, (audit_id, audit_id, _FINDINGS_AT_ONCE)).rowcount
            with self._database.writing() as connection:
                connection.execute("DELETE FROM audits WHERE id = ?", (audit_id,))

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Return audits, newest first."""
        query = "SELECT id, report FROM audits WHERE report <> ? AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"
        with self._database.reading() as connection:
            rows = connection.execute(query, (_HIDDEN, before, before, limit)).fetchall()
        return [KeptAudit(audit_id, json.loads(text)) for audit_id, text in rows]

    def audit(self, audit_id: int) -> KeptAudit | None:
        """Return one audit."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT report FROM audits WHERE id = ? AND report <> ?", (audit_id, _HIDDEN)
            ).fetchone()
        return None if row is None else KeptAudit(audit_id, json.loads(row[0]))

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Return divergent keys in order."""
        query = """
            SELECT kind, key, type FROM findings
            WHERE audit = (SELECT id FROM audits WHERE id = ? AND report <> ?)
            AND (kind, key) > (?, ?) AND (? IS NULL OR kind = ?) ORDER BY kind, key LIMIT ?
        """
        bound = after or Finding("", "")
        with self._database.reading() as connection:
            rows = connection.execute(query, (audit_id, _HIDDEN, bound.kind, bound.key, kind, kind, limit))
            return [Finding(*row) for row in rows]


def _put_findings(connection: sqlite3.Connection, audit_id: int, findings: Iterable[Finding]) -> None:
    rows = ((audit_id, *finding) for finding in findings)
    connection.executemany("INSERT OR IGNORE INTO findings (audit, kind, key, type) VALUES (?, ?, ?, ?)", rows)


def _show(connection: sqlite3.Connection, audit_id: int, report: Mapping[str, Any], seal: Seal | None) -> None:
    numbered = {**report, "id": audit_id}
    text = json.dumps(numbered if seal is None else seal(numbered))
    connection.execute("UPDATE audits SET report = ? WHERE id = ?", (text, audit_id))


def encoded_digests(by_type: Mapping[str, Digest]) -> str:
    """Return digests by type as JSON; sums as text, for JSON has no integers of 128 bits."""
    return json.dumps({name: [digest.records, f"{digest.total:x}"] for name, digest in by_type.items()})


def decoded_digests(texts: Iterable[str]) -> list[dict[str, Digest]]:
    """Return the digests that `encoded_digests` wrote; parses all texts as one, for there may be thousands."""
    return [
        {name: Digest(count, int(total, 16)) for name, (count, total) in by_type.items()}
        for by_type in json.loads(f"[{','.join(texts)}]")
    ]


def summed_digests(texts: Iterable[str]) -> dict[str, Digest]:
    """Return the sum of texts that `encoded_digests` wrote of disjoint sets, without making a digest of each."""
    grouped: dict[str, list[tuple[int, str]]] = {}
    for by_type in json.loads(f"[{','.join(texts)}]"):
        for name, kept in by_type.items():
            grouped.setdefault(name, []).append(kept)
    return {
        name: Digest.summed(sum(count for count, _ in kept), (int(total, 16) for _, total in kept))
        for name, kept in grouped.items()
    }


def _leaf_row(leaf: Leaf) -> tuple[str, str, str, str, bytes]:
    keys = sorted(leaf.terms)
    terms = b"".join(leaf.terms[key][1].to_bytes(TERM_SIZE_BYTES, "little") for key in keys)
    types = json.dumps([leaf.terms[key][0] for key in keys])
    return leaf.after, encoded_digests(leaf.head().by_type), json.dumps(keys), types, terms


def _leaf(after: str, keys: str, types: str, terms: bytes) -> Leaf:
    values = [
        int.from_bytes(terms[start : start + TERM_SIZE_BYTES], "little")
        for start in range(0, len(terms), TERM_SIZE_BYTES)
    ]
    return Leaf(after, dict(zip(json.loads(keys), zip(json.loads(types), values, strict=True), strict=True)))
