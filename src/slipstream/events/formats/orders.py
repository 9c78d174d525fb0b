"""The order of a change among those of its row, as each database counts, in the form of text that sorts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

DIGITS = 20
_SEQUENCE_SIZE_MAX = 200
_LAST_OF_SEQUENCE = re.compile(r'^\[[^\[\]]*?"?([0-9]{1,20})"?\]$')


def order_of(source: Mapping[str, Any]) -> tuple[str | None, bool]:
    """
    Return the order in a change's source, None when it has none, and whether different changes may have an equal one.

    Taken from the fields that are there: LSN of PostgreSQL, LSNs of SQL Server and Db2, SCN of Oracle, file and
    position of MySQL and MariaDB, `ord` of MongoDB; without any of these, the time of the commit.
    """
    for fields, order in _ORDERS:
        if any(source.get(name) is not None for name in fields):
            found = order(source)
            if found is not None:
                return found, False
    moment = _number(source.get("ts_us")) or _thousandfold(_number(source.get("ts_ms")))
    return moment, moment is not None


def _postgres(source: Mapping[str, Any]) -> str | None:
    lsn = _number(source.get("lsn"))
    if lsn is not None:
        return lsn
    sequence = source.get("sequence")  # "[last commit, lsn]": all that rows of an incremental snapshot have
    if not isinstance(sequence, str) or len(sequence) > _SEQUENCE_SIZE_MAX:
        return None
    found = _LAST_OF_SEQUENCE.search(sequence)
    return None if found is None else _number(found[1])


def _sql_server(source: Mapping[str, Any]) -> str | None:
    commit, change = source.get("commit_lsn"), source.get("change_lsn")
    if not isinstance(commit, str):
        return _number(commit)
    serial = _number(source.get("event_serial_no")) or ""
    return f"{_sortable(commit)}/{_sortable(change) if isinstance(change, str) else ''}/{serial}"


def _sortable(lsn: str) -> str:
    """Return an LSN as text that sorts: hexadecimal ones have one length, Informix has decimal ones."""
    return lsn.zfill(DIGITS) if lsn.isdecimal() else lsn


def _oracle(source: Mapping[str, Any]) -> str | None:
    scn = _number(source.get("scn"))
    commit = _number(source.get("commit_scn")) or scn
    if commit is None:
        return None
    place = source.get("rs_id")
    return f"{commit}/{scn or ''}/{place if isinstance(place, str) else ''}/{_number(source.get('ssn')) or ''}"


def _mysql(source: Mapping[str, Any]) -> str | None:
    file, position = source.get("file"), _number(source.get("pos"))
    if not isinstance(file, str) or position is None:
        return None
    name, _, number = file.rpartition(".")
    return f"{name}.{number.zfill(DIGITS)}/{position}/{_number(source.get('row')) or '0' * DIGITS}"


def _mongodb(source: Mapping[str, Any]) -> str | None:
    moment, number = _number(source.get("ts_ms")), _number(source.get("ord"))
    return None if moment is None or number is None else f"{moment}/{number}"


def _number(value: Any) -> str | None:
    """Return a number, or a text of digits, zero-padded, so that texts sort like numbers; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return f"{value:0{DIGITS}d}"
    is_number = isinstance(value, str) and len(value) <= DIGITS and value.isascii() and value.isdigit()
    return value.zfill(DIGITS) if is_number else None


def _thousandfold(number: str | None) -> str | None:
    return None if number is None else _number(int(number) * 1000)


_ORDERS = (
    (("lsn", "sequence"), _postgres),
    (("commit_lsn",), _sql_server),
    (("commit_scn", "scn"), _oracle),
    (("file",), _mysql),
    (("ord",), _mongodb),
)
