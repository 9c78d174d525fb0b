"""Options that tell what a feed does not say of itself: from the command line, and kept with refused lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import FeedOptions

SCHEMA = "slipstream.feed/1"
_IS_WRAPPED = f'{{"schema": "{SCHEMA}"'


def told(
    before: FeedOptions,
    id_prefix: str | None = None,
    keys: Iterable[str] = (),
    tables: Iterable[str] = (),
    unsent_nulls: Iterable[str] = (),
) -> FeedOptions:
    """
    Return options with those of a command line added.

    `keys` and `unsent_nulls` are `TABLE=COLUMN[,COLUMN]`, `tables` are `PARTITION=TABLE`. Raises `InvalidInputError`
    for any other form.
    """
    return FeedOptions(
        id_prefix=before.id_prefix if id_prefix is None else id_prefix,
        key_columns={**before.key_columns, **_columns(keys, "--key")},
        tables={**before.tables, **dict(_pair(each, "--table", "PARTITION=TABLE") for each in tables)},
        unsent_nulls={**before.unsent_nulls, **_columns(unsent_nulls, "--unsent-null")},
    )


def _columns(texts: Iterable[str], option: str) -> Mapping[str, Sequence[str]]:
    form = "TABLE=COLUMN[,COLUMN]"
    found = {name: tuple(value.split(",")) for name, value in (_pair(text, option, form) for text in texts)}
    if not all(column for columns in found.values() for column in columns):
        raise InvalidInputError(f"must be {form}, got an empty column", field=option)
    return found


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not (name and value):
        raise InvalidInputError(f"must be {form}, got {text!r}", field=option)
    return name, value


def wrapped(line: str, feed: FeedOptions) -> str:
    """Return what is kept of a refused line: the line, with the options of its feed if there are any."""
    if feed == FeedOptions():
        return line
    return json.dumps({"schema": SCHEMA, "options": asdict(feed), "line": line}, ensure_ascii=False)


def unwrapped(payload: str, present: FeedOptions) -> tuple[str, FeedOptions]:
    """
    Return a refused line, and the options to replay it with.

    The id prefix stays as it was, so that ids stay the same. Other options that are configured by now are added: the
    line may have been refused because they were missing.
    """
    if not payload.startswith(_IS_WRAPPED):
        return payload, FeedOptions(
            key_columns=present.key_columns, tables=present.tables, unsent_nulls=present.unsent_nulls
        )
    kept = json.loads(payload)
    options = kept["options"]
    return kept["line"], FeedOptions(
        id_prefix=options["id_prefix"],
        key_columns={**present.key_columns, **options["key_columns"]},
        tables={**present.tables, **options["tables"]},
        unsent_nulls={**present.unsent_nulls, **options["unsent_nulls"]},
    )
