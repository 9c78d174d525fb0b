"""Recordings of the real Debezium in tests/data/debezium, and how a graph holds what PostgreSQL says of a row."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from slipstream.domain.feed_changes import FeedOptions

FOLDER = Path(__file__).parents[1] / "data/debezium"
PREFIX = "kg"
_SAFE_IN_KEYS = " @/.,+-_#()'"
_SECONDS = {"Y": 31_557_600, "MO": 2_629_800, "W": 604_800, "D": 86_400, "H": 3600, "MI": 60, "S": 1}
"""Of the parts of an interval; Debezium counts a month as a twelfth of 365.25 days."""

Check = Callable[[Any, str], bool]
"""Whether a property is what PostgreSQL prints of the value."""


@dataclass(frozen=True)
class Recording:
    """The records of one shape, and what PostgreSQL said of its rows in the end."""

    name: str
    right: Mapping[str, Any]

    @classmethod
    def all(cls) -> Sequence[Recording]:
        """Return all that there are."""
        paths = sorted(FOLDER.glob("*.json"))
        return [cls(path.stem, json.loads(path.read_text(encoding="utf-8"))) for path in paths]

    @classmethod
    def named(cls, name: str) -> Recording:
        """Return one."""
        return next(recording for recording in cls.all() if recording.name == name)

    @property
    def path(self) -> Path:
        """The records: JSON lines."""
        return FOLDER / f"{self.name}.jsonl"

    @property
    def lines(self) -> Sequence[str]:
        """The records."""
        return [line for line in self.path.read_text(encoding="utf-8").split("\n") if line]

    @property
    def plain_lines(self) -> Sequence[str]:
        """The records as a converter without schemas writes them; bench/recordings proves them the same."""
        return [json.dumps(_plain(json.loads(line)), ensure_ascii=False) for line in self.lines]

    @property
    def has_schemas(self) -> bool:
        """Whether they were recorded with schemas."""
        return any('"schema' in str(json.loads(line)["value"]) for line in self.lines)

    @property
    def topics(self) -> frozenset[str]:
        """Where the records lay: each its table."""
        return frozenset(json.loads(line)["topic"] for line in self.lines)

    @property
    def options(self) -> FeedOptions:
        """What the reader has to be told."""
        return FeedOptions(**self.right["options"])

    @property
    def command_line_options(self) -> Sequence[str]:
        """The same, on the command line."""
        told = self.right["options"]
        named = [("--key", "key_columns"), ("--unsent-null", "unsent_nulls")]
        columns = [
            f"{option}={table}={','.join(names)}"
            for option, part in named
            for table, names in told.get(part, {}).items()
        ]
        return [*columns, *(f"--table={part}={table}" for part, table in told.get("tables", {}).items())]

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings of the connector and its converter that are not the usual ones."""
        found: Mapping[str, str] = self.right["settings"]
        return found

    def rows(self) -> Mapping[str, tuple[str, Mapping[str, tuple[str, str | None]]]]:
        """Return by entity id: its type, and by property the column's type and what PostgreSQL prints of it."""
        found = {}
        for table, said in ({} if self.right["is_nameless"] else self.right["tables"]).items():
            for row in said["rows"]:
                key = _key([_key_text(said["columns"][name], row[name]) for name in said["key"]])
                differs = self.right["differs"].get(f"{table}:{key}", {})
                texts = row | {name: None if value is None else str(value) for name, value in differs.items()}
                columns = {name: (said["columns"][name], text) for name, text in texts.items()}
                found[f"{PREFIX}.{table}:{key}"] = (table.split(".")[1], _properties(columns, said["key"]))
        return found


def _properties(
    columns: Mapping[str, tuple[str, str | None]], key: Sequence[str]
) -> dict[str, tuple[str, str | None]]:
    """A column `id` of the key is the entity's id and no property; any other column `id` is the property `id_`."""
    named = {name: said for name, said in columns.items() if not (name.lower() == "id" and name in key)}
    return {"id_" if name == "id" else name: said for name, said in named.items()}


def _key(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ":".join(quote(part, safe=_SAFE_IN_KEYS) for part in parts)


def _key_text(kind: str, text: str) -> str:
    """Return how a value stands in an id: times with a zone in UTC, as the connector writes them."""
    if kind.startswith("timestamp") and "with time zone" in kind:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return text


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    for part in ("key", "value"):
        said = None if record[part] is None else json.loads(record[part])
        if isinstance(said, dict) and said.keys() == {"schema", "payload"}:
            record[part] = json.dumps(said["payload"], ensure_ascii=False)
    return record


# ---------------------------------------------------------------------- as PostgreSQL prints, as a graph holds it


def is_kept(kind: str, value: Any, text: str | None, settings: Mapping[str, str]) -> bool:
    """Whether a property holds what PostgreSQL prints of a value of this type."""
    if text is None:
        return value is None
    base = re.sub(r"\(.*?\)", "", kind)
    try:
        if base.endswith("[]"):
            return _is_list(base.removesuffix("[]"), value, text, settings)
        return _CHECKS.get(base, _same)(value, text) if base != "bytea" else _is_bytes(value, text, settings)
    except (ValueError, TypeError, ArithmeticError):  # not written like a value of this type
        return False


def _is_list(kind: str, value: Any, text: str, settings: Mapping[str, str]) -> bool:
    items = json.loads(text, parse_float=str, parse_int=str)
    texts: list[str | None] = [str(item).lower() if isinstance(item, bool) else item for item in items]
    if kind in {"json", "jsonb"}:
        texts = [json.dumps(item) for item in json.loads(text)]
    return (
        isinstance(value, list)
        and len(value) == len(texts)
        and all(is_kept(kind, item, said, settings) for item, said in zip(value, texts, strict=True))
    )


def _same(value: Any, text: str) -> bool:
    return type(value) is str and value == text


def _is_integer(value: Any, text: str) -> bool:
    return type(value) is int and value == int(text)


def _is_number(value: Any, text: str) -> bool:
    """Exactly the same number, whether kept as a number or as a text; never in more digits than it has."""
    said = re.sub(r"[$,]", "", text)
    return not isinstance(value, bool) and Decimal(str(value)) == Decimal(said) and len(str(value)) < len(said) + 20


def _is_float(value: Any, text: str) -> bool:
    return value == text if text.lstrip("-")[0] in "NI" else type(value) is float and value == float(text)


def _is_boolean(value: Any, text: str) -> bool:
    return value is (text == "true")


def _is_bit(value: Any, text: str) -> bool:
    return value is (text == "1") if isinstance(value, bool) else _same(value, text)


def _is_varying(value: Any, text: str) -> bool:
    """How many bits there were is not sent."""
    return type(value) is str and int(value, 2) == int(text, 2)


def _is_moment(value: Any, text: str) -> bool:
    """A timestamp without a zone counts as UTC; the connector's texts stay texts, of the same time."""
    if "infinity" in text:
        return _same(value, text)
    said = datetime.fromisoformat(text)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return bool(value == (said if said.tzinfo else said.replace(tzinfo=UTC)))


def _is_day(value: Any, text: str) -> bool:
    return type(value) is str and value.removesuffix("Z") == text


def _is_clock(value: Any, text: str) -> bool:
    said, held = (time.fromisoformat(each) for each in (text, value))
    return _microseconds(said) == _microseconds(held)


def _microseconds(clock: time) -> int:
    """Return the time of the day in UTC."""
    moment = datetime(2000, 1, 2, tzinfo=UTC).replace(
        hour=clock.hour,
        minute=clock.minute,
        second=clock.second,
        microsecond=clock.microsecond,
        tzinfo=clock.tzinfo or UTC,
    )
    moment = moment.astimezone(UTC)
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 10**6 + moment.microsecond


def _is_interval(value: Any, text: str) -> bool:
    return type(value) is str and _seconds(value) == _seconds(text)


def _seconds(text: str) -> Decimal:
    days, _, clock = text.removeprefix("P").partition("T")
    parts = re.findall(r"(-?[\d.]+)([A-Z])", days.replace("M", "O")) + re.findall(r"(-?[\d.]+)([A-Z])", clock)
    units = {"O": "MO", "M": "MI"}
    return sum((Decimal(number) * _SECONDS[units.get(unit, unit)] for number, unit in parts), Decimal())


def _is_document(value: Any, text: str) -> bool:
    try:
        document = json.loads(text)
    except ValueError:  # a document that is a text: printed without its quotes
        document = text
    return bool(value == document) and type(value) is type(document)


def _is_bytes(value: Any, text: str, settings: Mapping[str, str]) -> bool:
    decoded = {"hex": bytes.fromhex, "base64-url-safe": base64.urlsafe_b64decode}.get(
        settings.get("binary.handling.mode", ""), base64.b64decode
    )
    return type(value) is str and decoded(value) == bytes.fromhex(text.removeprefix("\\x"))


def _is_point(value: Any, text: str) -> bool:
    x, y = text.strip("()").split(",")
    return bool(value == {"x": float(x), "y": float(y)})


def _is_vector(value: Any, text: str) -> bool:
    return bool(value == [float(number) for number in json.loads(text)])


_CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("smallint", "integer", "bigint", "oid"), _is_integer),
    **dict.fromkeys(("numeric", "money"), _is_number),
    **dict.fromkeys(("real", "double precision"), _is_float),
    "boolean": _is_boolean,
    "bit": _is_bit,
    "bit varying": _is_varying,
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), _is_moment),
    **dict.fromkeys(("time without time zone", "time with time zone"), _is_clock),
    "date": _is_day,
    "interval": _is_interval,
    **dict.fromkeys(("json", "jsonb", "hstore"), _is_document),
    "point": _is_point,
    **dict.fromkeys(("vector", "halfvec"), _is_vector),
}

ENCODED = frozenset(
    {"numeric", "money", "date", "interval", "point", "json", "jsonb", "hstore", "bit", "bit varying"}
    | {"timestamp without time zone", "time without time zone"}
)
"""Types whose values can not be told without a schema: they stay as the connector encodes them."""


def is_encoded(kind: str) -> bool:
    """Whether values of this column need a schema to be told."""
    return _base(kind) in ENCODED


def says_itself(kind: str, value: Any) -> bool:
    """
    Whether nothing has to be said of a value that came without a schema.

    A JSON text and a point say themselves what they are, a JSON number is one, and bytes whose base64 has no padding
    can not be told from any text.
    """
    items = value if isinstance(value, list) else [value]
    is_text = all(isinstance(item, str) and not item.endswith("=") for item in items)
    return _base(kind) in {"json", "jsonb", "hstore", "point"} or isinstance(value, float) or is_text


def _base(kind: str) -> str:
    return re.sub(r"\(.*?\)|\[\]", "", kind)
