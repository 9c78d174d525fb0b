"""Properties as people type them: `name=text`, `name:=JSON`, and the same from a file with `=@` and `:=@`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.values import decode_value

FILE_BYTES_MAX = 16 * 1024 * 1024
_HELP = "give name=TEXT, name:=JSON, name=@FILE or name:=@FILE"


def properties_told(items: Iterable[str], *, unset: Iterable[str] = ()) -> dict[str, Any]:
    """
    Return the properties that some arguments tell, as JSON: a time is `{"$datetime": "…"}`, and null removes one.

    Raises `InvalidInputError` that names the property, for one that is no such argument or is given twice.
    """
    found: dict[str, Any] = {}
    for item in items:
        head, separator, value = item.partition("=")
        is_json = head.endswith(":")
        name = head[:-1] if is_json else head
        if not separator or not name:
            raise InvalidInputError(f"{item!r} is no property: {_HELP}", field="properties")
        text = _file(name, value[1:]) if value.startswith("@") else value
        _add(found, name, _json(name, text) if is_json else text)
    for name in unset:
        _add(found, name, None)
    return found


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:
        raise InvalidInputError("is given twice", field=name)
    found[name] = value


def _json(name: str, text: str) -> Any:
    try:
        return _checked(name, json.loads(text, parse_constant=lambda word: _refuse(name, word)))
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"{_short(text)} is not JSON ({error.msg}): write {name}={_short(text)} for a text", field=name
        ) from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError("is nested too deeply, or a number of too many digits", field=name) from error


def _refuse(name: str, word: str) -> Any:
    raise InvalidInputError(f"{word} is no number that JSON has: leave it out, or give it as a text", field=name)


def _checked(name: str, value: Any) -> Any:
    """Return a value whose tagged times can be read; raises `InvalidInputError` for one that can not."""
    if isinstance(value, list):
        return [_checked(name, item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"$datetime"} and not isinstance(decode_value(value), datetime):
        raise InvalidInputError(
            f'{value["$datetime"]!r} is no time with its zone: write {{"$datetime": "2026-01-31T12:00:00+00:00"}}',
            field=name,
        )
    return {key: _checked(name, item) for key, item in value.items()}


def _file(name: str, path: str) -> str:
    """Return the text of a file; raises `OSError`, and `InvalidInputError` for one that is no text."""
    with Path(path).expanduser().open("rb") as stream:
        data = stream.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise InvalidInputError(f"{path} is larger than {FILE_BYTES_MAX:,} bytes: store its path instead", field=name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} is not UTF-8: convert it, as in iconv -f latin1 -t UTF-8", field=name
        ) from error


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:39]}…")
