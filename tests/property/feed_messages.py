"""Messages of every format that are right, and drawn broken: what holds of each is a rule, not a value."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.feed_changes import Change, FeedOptions, Said
from slipstream.events.formats.cloudevents import to_cloudevent
from slipstream.events.formats.detect import MessageParser
from slipstream.events.formats.unsent import is_unsent
from tests.unit.events.test_formats_databases import DOCUMENT, MONGO_SOURCE, MYSQL, SQL_SERVER_SOURCE
from tests.unit.events.test_formats_envelopes import NATIVE
from tests.unit.events.test_formats_neo4j_cdc import NODE, RELATIONSHIP
from tests.unit.events.test_formats_not_rows import MESSAGES as NOT_ROWS
from tests.unit.events.test_formats_unsent import UNSENT
from tests.unit.events.test_formats_values import VALUES, record

FEEDS = Path(__file__).parents[1] / "data" / "feeds"
OPTIONS = FeedOptions(key_columns={"*": ["id"]})
ROW = {
    "id": 10,
    "title": "kept",
    "__deleted": "false",
    "__op": "u",
    "__lsn": 24801264,
    "__source_ts_ms": 1795914557629,
}
KAFKA: dict[str, Any] = {"topic": "ku.public.note", "partition": 4, "offset": 6, "timestamp": 1795914558022}
HEADERS = [["__debezium.newkey", '{"id":8}'], ["__debezium.oldkey", {"payload": {"id": 9}}], ["__op", "u"]]


def _recorded(name: str, count: int) -> list[dict[str, Any]]:
    lines = (FEEDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if len(line) < 8_000][:count]


def _texts(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose key and value are texts, as they lie in a log."""
    return {**message, **{name: json.dumps(message[name]) for name in ("key", "value")}}


TYPED = [record(schema, value) for schema, value, _ in VALUES if len(str(value)) < 200]
EXTENDED = copy.deepcopy(NODE)
EXTENDED["event"]["keys"] = {"Person": [{"id": {"S": "ada", "I64": None}}]}
EXTENDED["event"]["state"]["after"]["properties"] = {
    "at": {"TZDT": "2026-01-02T03:04:05+01:00[Europe/Berlin]"},
    "took": {"TD": {"months": 1, "days": 2, "seconds": 3, "nanoseconds": 4}},
    "place": {"LSP": [{"x": 1.0, "z": None}]},
}
MONGO = {"source": MONGO_SOURCE, "op": "u", "ts_ms": 1}
MESSAGES: Mapping[str, list[Any]] = {
    "native": [NATIVE, to_cloudevent(PKGEvent.parse(NATIVE), "s"), {**KAFKA, "key": None, "value": NATIVE}],
    "neo4j": [NODE, RELATIONSHIP, {**KAFKA, "value": NODE}, EXTENDED],
    "debezium": [
        MYSQL,
        *_recorded("not-row-changes", 20),
        *_recorded("keys-refused", 2),
        *_recorded("two-tables-count-from-1", 5),
        {"key": {"id": 1}, "value": {**MYSQL, "source": SQL_SERVER_SOURCE}},
    ],
    "values": [*TYPED, *map(_texts, TYPED), *(record(None, value) for value in UNSENT)],
    "kafka": [*_recorded("recorded-kg.public.note", 24), *map(_texts, TYPED)],
    "flattened": [
        {**KAFKA, "key": {"id": 10}, "value": ROW, "headers": HEADERS},
        *_recorded("recorded-ku.public.note", 31),
        {**ROW, "__table": "note", "__schema": "public", "__name": "ku"},
    ],
    "jetstream": _recorded("recorded-jetstream", 22),
    "mongodb": [
        {"key": {"id": '{"$oid": "596e275826f08b2730779e1f"}'}, "value": {**MONGO, "after": DOCUMENT}},
        {"key": {"id": "7"}, "value": {**MONGO, "after": {"_id": 7, "a": {"$date": {"$numberLong": "5"}}}}},
        {
            "key": {"id": "7"},
            "value": {**MONGO, "updateDescription": {"updatedFields": '{"a": 1}', "removedFields": ["b"]}},
        },
    ],
    "no rows": [value for _, _, value in NOT_ROWS]
    + [{"topic": topic, "key": None, "value": value} for _, topic, value in NOT_ROWS],
}
"""Right messages, by format."""

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), _TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_TEXTS, inner, max_size=3)),
    max_leaves=6,
)
_ODD = st.one_of(
    _JSON,
    st.sampled_from(
        ["", "\ud800", "2026-01-02", "9999-12-31T23:59:59-05:00", 0, -1, 2**63, 10**400, 2**62, -0.0, "d", "t"]
    ),
    st.sampled_from(
        [float("nan"), True, [], {}, [[]], {"": {}}, {"id": {}}, [{"id": None}], '{"a":', "null", "[]", "{}"]
    ),
    st.sampled_from(UNSENT),
    st.sampled_from(
        [{"scale": 10**9, "value": "AQ=="}, "AQ==", {"$date": 10**30}, {"$numberLong": "x"}, "true", {"payload": 1}]
    ),
    st.integers().map(lambda number: {"type": "int32", "name": "io.debezium.time.Date", "optional": number % 2 == 0}),
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield (*path, name)
        yield from _places(child, (*path, name))


def _unfolded(value: Any) -> Any:
    """Return a message with the JSON in its texts read, so that its inside can be broken, too."""
    if isinstance(value, dict):
        return {name: _unfolded(item) for name, item in value.items()}
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


@st.composite
def broken(draw: st.DrawFn, kind: str) -> Any:
    """Draw a message of one format in which up to three fields are replaced, gone, or renamed."""
    message = copy.deepcopy(draw(st.sampled_from(MESSAGES[kind])))
    folded = [name for name in ("key", "value", "data", "payload") if isinstance(message.get(name), str)]
    message = _unfolded(message)
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(message))
        if not places:
            break
        *parents, name = draw(st.sampled_from(places))
        holder: Any = message
        for parent in parents:
            holder = holder[parent]
        how = draw(st.sampled_from(["replace", "delete", "rename", "move"]))
        value = holder[name] if how == "replace" else holder.pop(name)
        if how == "replace":
            holder[name] = copy.deepcopy(draw(_ODD))
        elif how == "rename" and isinstance(holder, dict):
            holder[draw(_TEXTS)] = value
        elif how == "move":
            message[draw(_TEXTS)] = value
    for name in folded:
        if name in message and draw(st.booleans()):
            message[name] = json.dumps(message[name], default=str)
    return message


def outcome(parser: MessageParser, message: Any) -> list[Said] | str:
    """Return what a message says, or why it is refused; anything but `InvalidInputError` is a fault and goes on."""
    try:
        return parser.parse(message)
    except InvalidInputError as error:
        return f"{error.field}|{error}"


def check(message: Any, warm: MessageParser) -> None:
    """Check the rules that hold for each message; `warm` is a parser that has seen others before."""
    found = outcome(MessageParser(OPTIONS), message)
    assert outcome(warm, message) == found, "what is said depends on the message and the options alone"
    if isinstance(found, str):
        assert not found.startswith("|"), "a refusal names the field"
        assert found.isprintable(), "messages go to logs and terminals"
    for said in [] if isinstance(found, str) else found:
        if isinstance(said, Change):
            _check_change(said, message)


def _check_change(said: Change, message: Any) -> None:
    event = said.event
    assert event.timestamp.utcoffset() == timedelta()
    if event.event_type.is_deletion:
        assert _says_deletion(message), "what says nothing of a deletion is none"
    if not said.space:
        return
    assert said.id_by_name or said.end_names != (None, None) or event.entity_id
    assert not any(
        is_unsent(value) for value in (event.new_data or {}).values() if not said.space.startswith("neo4j")
    )
    assert not said.unsent & (event.new_data or {}).keys()


def _says_deletion(message: Any) -> bool:
    """Whether a deletion can be read in a message: an operation, a mark, or the missing value of a tombstone."""
    text = message if isinstance(message, str) else json.dumps(message, default=str)
    return any(mark in text for mark in ("null", '"d"', '\\"d\\"', "_deleted", '"true"', "true"))
