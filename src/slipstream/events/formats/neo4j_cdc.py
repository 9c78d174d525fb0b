"""Change events of Neo4j's own change data capture, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, deterministic_event_id
from slipstream.domain.feed_changes import NODES, Change, FeedOptions, Place
from slipstream.domain.keys import RelationshipRef
from slipstream.events.formats.dump import DEFAULT_TYPE
from slipstream.events.formats.naming import id_prefix
from slipstream.events.formats.neo4j_values import plain
from slipstream.events.formats.orders import DIGITS
from slipstream.events.formats.reader import Reader, compound_id, shown, shown_name

_OPERATIONS = {"c": "created", "u": "updated", "d": "deleted"}
_TIMES = ("txCommitTime", "captureTime", "txStartTime")


def is_neo4j_cdc(value: Mapping[str, Any]) -> bool:
    """Whether a value is a change event of Neo4j, and not a row with a column `event`."""
    event = value.get("event")
    return isinstance(event, dict) and "eventType" in event


def neo4j_change(
    data: Mapping[str, Any], options: FeedOptions, place: Place | None = None, prefix: str = ""
) -> Change:
    """
    Return what a change of Neo4j says; raises `InvalidInputError` naming the field.

    Nodes are identified by their business key: what a key constraint puts into `keys`, else their property `id`; only
    without both, their element id, which Neo4j may give to another node later. The row name of a change, in the space
    of its database, is always its element id.
    """
    change = Reader(data, prefix)
    event = change.object("event")
    operation = event.text("operation")
    if operation not in _OPERATIONS:
        raise event.refused("operation", f"must be c, u or d, got {shown(operation)}")
    kind = event.text("eventType")
    if kind not in ("n", "r"):
        raise event.refused("eventType", f"must be n or r, got {shown(kind)}")
    is_difference = change.object("metadata").data.get("captureMode") == "DIFF" and operation == "u"
    element_id = event.text("elementId")
    namer = _Namer(options, element_id)
    about, names = _node(namer, event, is_difference) if kind == "n" else _relationship(namer, event, is_difference)
    return Change(
        event=PKGEvent.parse(
            {
                **about,
                "event_id": deterministic_event_id(["neo4j", change.identity("id")]),
                "event_type": f"{'entity' if kind == 'n' else 'relationship'}_{_OPERATIONS[operation]}",
                "timestamp": _time(change.object("metadata")),
                **_states(event, operation, is_difference),
                "schema_version": 1,
            }
        ),
        space=namer.space,
        name=element_id,
        order=_order(change),
        place=place,
        is_whole=not is_difference,
        **names,
    )


def _order(change: Reader) -> str | None:
    numbers = (change.data.get("txId"), change.data.get("seq"))
    if any(isinstance(number, bool) or not isinstance(number, int) or number < 0 for number in numbers):
        return None
    return "/".join(f"{number:0{DIGITS}d}" for number in numbers)


class _Namer:
    """Makes ids of nodes in the database that an element id (`4:database:number`) names."""

    def __init__(self, options: FeedOptions, element_id: str) -> None:
        _, _, rest = element_id.partition(":")
        self.database, _, self.number = rest.rpartition(":")
        self.space = f"{NODES}{self.database}"
        self._options = options

    def id(self, name: str, label: str) -> str:
        """Return the id of a node with this business key."""
        names = {"space": self.space, "source": self.database, "schema": "", "type": label}
        return id_prefix(self._options.id_prefix, "", **names) + name


def _node(namer: _Namer, event: Reader, is_difference: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    label = _label(event, is_difference)
    found = _business_key(event) or _own_id(event, label)
    name, key_label = found or (event.text("elementId"), label)
    entity_id = namer.id(name, key_label or label)
    return {"entity_id": entity_id, "entity_type": label}, {"id_by_name": found is None and is_difference}


def _relationship(namer: _Namer, event: Reader, is_difference: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    ends = [event.object("start"), event.object("end")]
    keys = [_business_key(end) for end in ends]
    elements = [end.text("elementId") if key is None else None for end, key in zip(ends, keys, strict=True)]
    labels = [next(iter(end.texts("labels")), None) for end in ends]
    source, target = (
        element or namer.id(*_named(key, label)) for element, key, label in zip(elements, keys, labels, strict=True)
    )
    relationship_type = event.text("type")
    key = _business_key(event) or _own_id(event, relationship_type)
    about = {
        "entity_id": RelationshipRef(relationship_type, source, target, "" if key is None else key[0]).id,
        "entity_type": relationship_type,
        "source_id": source,
        "source_type": labels[0],
        "target_id": target,
        "target_type": labels[1],
    }
    fallback = None if key is not None else namer.number or event.text("elementId")
    # A difference does not say the relationship's own id: its element id finds it.
    by_name = key is None and is_difference
    return about, {"end_names": (elements[0], elements[1]), "fallback_discriminator": fallback, "id_by_name": by_name}


def _named(key: tuple[str, str] | None, label: str | None) -> tuple[str, str]:
    name, key_label = key or ("", "")
    return name, key_label or label or DEFAULT_TYPE


def _own_id(event: Reader, label: str) -> tuple[str, str] | None:
    """Return the property `id` with the label; None when no state has it."""
    states = event.object("state")
    for state in (states.object_or_none("after"), states.object_or_none("before")):
        properties = state.object_or_none("properties") if state is not None else None
        if properties is not None and (own := plain(properties.data.get("id"))) is not None:
            return Reader({"id": own}, properties.prefix).identity("id"), label
    return None


def _business_key(owner: Reader) -> tuple[str, str] | None:
    """Return the id made of the keys, and their label: of a key `id` before others, else of the first by name."""
    keys = [(label, key) for label, key in _keys(owner) if key.data]
    if not keys:
        return None
    label, key = min(keys, key=lambda each: (list(each[1].data) != ["id"], each[0], sorted(each[1].data)))
    return compound_id(key), label


def _keys(owner: Reader) -> Iterator[tuple[str, Reader]]:
    """Yield the maps in `keys` with their labels; versions differ: by label or not, singly or as lists."""
    keys = owner.data.get("keys")
    if keys is None:
        return
    where = f"{owner.prefix}keys"
    if isinstance(keys, list):
        yield from (("", key) for key in _maps(keys, where))
        return
    if not isinstance(keys, dict):
        raise InvalidInputError(f"must be an object or an array, got {shown(keys)}", field=where)
    by_label = {name: value for name, value in keys.items() if isinstance(plain(value), dict | list)}
    if len(by_label) < len(keys):
        yield "", Reader({name: plain(value) for name, value in keys.items()}, f"{where}.")
        return
    for label, value in by_label.items():
        found = _maps(value if isinstance(value, list) else [value], f"{where}.{shown_name(label)}")
        yield from ((label, key) for key in found)


def _maps(values: list[Any], where: str) -> Iterator[Reader]:
    for value in values:
        if not isinstance(value, dict):
            raise InvalidInputError(f"must hold objects, got {shown(value)}", field=where)
        yield Reader({name: plain(item) for name, item in value.items()}, f"{where}.")


def _label(event: Reader, is_difference: bool) -> str:
    """Return the first label after the change; of a deleted node the first one before it."""
    states = event.object("state")
    before, after = states.object_or_none("before"), states.object_or_none("after")
    if is_difference:
        removed = before.texts("labels") if before is not None else ()
        added = after.texts("labels") if after is not None else ()
        kept = [label for label in event.texts("labels") if label not in removed or label in added]
        return next(iter((*kept, *added)), DEFAULT_TYPE)
    labels = (owner.texts("labels") for owner in (after, before, event) if owner is not None)
    return next((found[0] for found in labels if found), DEFAULT_TYPE)


def _states(event: Reader, operation: str, is_difference: bool) -> dict[str, Any]:
    states = event.object("state")
    if operation != "d":
        states.object("after")
    old, new = _properties(states, "before"), _properties(states, "after")
    if is_difference:
        new = {**dict.fromkeys(old or ()), **(new or {})}
    return {"old_data": old, "new_data": new}


def _properties(states: Reader, name: str) -> dict[str, Any] | None:
    state = states.object_or_none(name)
    if state is None:
        return None
    properties = state.object_or_none("properties")
    found = {} if properties is None else properties.data
    return {name: value for name, each in found.items() if name != "id" and (value := plain(each)) is not None}


def _time(metadata: Reader) -> datetime:
    name = next((name for name in _TIMES if metadata.has(name)), _TIMES[0])
    return Reader({name: plain(metadata.data.get(name))}, metadata.prefix).moment(name)
