"""Change events of Neo4j's own change data capture, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, deterministic_event_id
from slipstream.domain.formats.dump import DEFAULT_TYPE
from slipstream.domain.formats.reader import Reader, checked_json, compound_id, shown
from slipstream.domain.keys import RelationshipRef

_OPERATIONS = {"c": "created", "u": "updated", "d": "deleted"}
_TIMES = ("txCommitTime", "captureTime", "txStartTime")


def from_neo4j_cdc(data: Mapping[str, Any]) -> PKGEvent:
    """
    Return the event in a change of Neo4j; raises `InvalidInputError` naming the field.

    Nodes are known by their business key: what a key constraint puts into `keys`, else their property `id`, and
    only without both by their element id, which Neo4j may give to another node later.
    """
    change = Reader(checked_json(data))
    event = change.object("event")
    operation = event.text("operation")
    if operation not in _OPERATIONS:
        raise event.refused("operation", f"must be c, u or d, got {shown(operation)}")
    kind = event.text("eventType")
    if kind not in ("n", "r"):
        raise event.refused("eventType", f"must be n or r, got {shown(kind)}")
    about = _node(change, event) if kind == "n" else _relationship(change, event)
    return PKGEvent.parse(
        {
            **about,
            "event_id": deterministic_event_id(["neo4j", change.identity("id")]),
            "event_type": f"{'entity' if kind == 'n' else 'relationship'}_{_OPERATIONS[operation]}",
            "timestamp": _time(change.object("metadata")),
            **_states(event, operation),
            "schema_version": 1,
        }
    )


def _node(change: Reader, event: Reader) -> dict[str, Any]:
    return {"entity_id": _identity(change, event), "entity_type": _label(change, event)}


def _relationship(change: Reader, event: Reader) -> dict[str, Any]:
    start, end = event.object("start"), event.object("end")
    source, target = _endpoint_id(start), _endpoint_id(end)
    relationship_type = event.text("type")
    return {
        "entity_id": RelationshipRef(relationship_type, source, target, _identity(change, event)).id,
        "entity_type": relationship_type,
        "source_id": source,
        "source_type": next(iter(start.texts("labels")), None),
        "target_id": target,
        "target_type": next(iter(end.texts("labels")), None),
    }


def _endpoint_id(node: Reader) -> str:
    return _business_key(node) or node.text("elementId")


def _identity(change: Reader, event: Reader) -> str:
    by_key = _business_key(event)
    if by_key is not None:
        return by_key
    states = event.object("state")
    for state in (states.object_or_none("after"), states.object_or_none("before")):
        properties = state.object_or_none("properties") if state is not None else None
        if properties is not None and properties.has("id"):
            return properties.identity("id")
    if _is_difference(change, event):
        # The unchanged id is not in the difference: the element id would name another entity than the creation did.
        raise event.refused("keys", "is empty in captureMode DIFF: add a key constraint, or capture FULL")
    return event.text("elementId")


def _business_key(owner: Reader) -> str | None:
    """Return the id that the keys give: a key `id` before others, else the first by label and names."""
    keys = [key for key in _keys(owner) if key.data]
    if not keys:
        return None
    return compound_id(min(keys, key=lambda key: (list(key.data) != ["id"], key.prefix, sorted(key.data))))


def _keys(owner: Reader) -> Iterator[Reader]:
    """Yield the maps in `keys`: by label or not, one or a list of them, as the versions of Neo4j write them."""
    keys = owner.data.get("keys")
    if keys is None:
        return
    where = f"{owner.prefix}keys"
    if isinstance(keys, list):
        yield from _maps(keys, where)
        return
    if not isinstance(keys, dict):
        raise InvalidInputError(f"must be an object or an array, got {shown(keys)}", field=where)
    by_label = {name: value for name, value in keys.items() if isinstance(value, dict | list)}
    if len(by_label) < len(keys):
        yield Reader(keys, f"{where}.")
        return
    for label, value in by_label.items():
        yield from _maps(value if isinstance(value, list) else [value], f"{where}.{label}")


def _maps(values: list[Any], where: str) -> Iterator[Reader]:
    for value in values:
        if not isinstance(value, dict):
            raise InvalidInputError(f"must hold objects, got {shown(value)}", field=where)
        yield Reader(value, f"{where}.")


def _label(change: Reader, event: Reader) -> str:
    """Return the first label after the change; of a deleted node the first one before it."""
    states = event.object("state")
    before, after = states.object_or_none("before"), states.object_or_none("after")
    if _is_difference(change, event):
        removed = before.texts("labels") if before is not None else ()
        added = after.texts("labels") if after is not None else ()
        kept = [label for label in event.texts("labels") if label not in removed]
        return next(iter((*kept, *added)), DEFAULT_TYPE)
    labels = (owner.texts("labels") for owner in (after, before, event) if owner is not None)
    return next((found[0] for found in labels if found), DEFAULT_TYPE)


def _is_difference(change: Reader, event: Reader) -> bool:
    """Return whether the states hold only what changed, and not all that there is."""
    return change.object("metadata").data.get("captureMode") == "DIFF" and event.text("operation") == "u"


def _states(event: Reader, operation: str) -> dict[str, Any]:
    states = event.object("state")
    if operation != "d":
        states.object("after")
    return {"old_data": _properties(states, "before"), "new_data": _properties(states, "after")}


def _properties(states: Reader, name: str) -> dict[str, Any] | None:
    state = states.object_or_none(name)
    if state is None:
        return None
    properties = state.object_or_none("properties")
    found = {} if properties is None else properties.data
    return {name: value for name, value in found.items() if name != "id" and value is not None}


def _time(metadata: Reader) -> datetime:
    name = next((name for name in _TIMES if metadata.has(name)), _TIMES[0])
    return metadata.moment(name)
