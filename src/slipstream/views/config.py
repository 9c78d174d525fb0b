"""Views out of a configuration file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.views.checks import check_chain, check_via
from slipstream.views.declaration import Chain, Via, View, Words, direction_of

_VIEW_KEYS = ("template", "model", "metadata", "temporal", "via", "causes", "sequence", "words")
_RELATIONSHIP_KEYS = ("template", "model", "metadata", "words")
_WORDS_KEYS = ("name", "aliases", "keys", "body", "stemmer")
_VIA_KEYS = ("relationship", "direction", "properties", "limit")
_CHAIN_KEYS = (*_VIA_KEYS, "depth")


def parse_views(views: Mapping[str, Any], relationship_views: Mapping[str, Any]) -> list[View]:
    """
    Return the views that the tables `[views]` and `[relationship_views]` declare.

    Raises `InvalidInputError` that names the wrong field, like `views.Person.via.employer.limit`.
    """
    parsed = [_view(name, table, f"views.{name}", _VIEW_KEYS) for name, table in views.items()]
    for name, table in relationship_views.items():
        parsed.append(_view(name, table, f"relationship_views.{name}", _RELATIONSHIP_KEYS))
    return parsed


def _view(name: str, table: object, field: str, known: Collection[str]) -> View:
    values = _table(table, field, known)
    vias = _table(values.get("via", {}), f"{field}.via", None)
    return View(
        type=name,
        template=_optional(values, "template", str, field),
        via={alias: _via(alias, via, f"{field}.via.{alias}") for alias, via in vias.items()},
        model=_optional(values, "model", str, field),
        metadata=_names(values.get("metadata", []), f"{field}.metadata"),
        temporal=_optional(values, "temporal", bool, field),
        is_relationship="via" not in known,
        causes=_chain(values.get("causes"), f"{field}.causes"),
        sequence=_chain(values.get("sequence"), f"{field}.sequence"),
        words=_words(values.get("words"), f"{field}.words"),
    )


def _words(table: object, field: str) -> Words | None:
    if table is None:
        return None
    values = _table(table, field, _WORDS_KEYS)
    given: dict[str, Any] = {name: _names(values[name], f"{field}.{name}") for name in values if name != "stemmer"}
    if (stemmer := _optional(values, "stemmer", str, field)) is not None:
        given["stemmer"] = stemmer
    try:
        return Words(**given)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).removeprefix("stemmer: "), field=f"{field}.stemmer") from None


def _chain(table: object, field: str) -> Chain | None:
    if table is None:
        return None
    values = _table(table, field, _CHAIN_KEYS)
    chain = Chain(depth=values.get("depth", 3), **_step(values, field))
    check_chain(chain, field)
    return chain


def _via(alias: str, table: object, field: str) -> Via:
    via = Via(**_step(_table(table, field, _VIA_KEYS), field))
    check_via(alias, via, field)
    return via


def _step(values: Mapping[str, Any], field: str) -> dict[str, Any]:
    try:
        direction = direction_of(values.get("direction", "out"))
    except InvalidInputError as error:
        raise InvalidInputError(str(error).removeprefix("direction: "), field=f"{field}.direction") from None
    return {
        "relationship_type": _optional(values, "relationship", str, field) or "",
        "direction": direction,
        "properties": _names(values.get("properties", ["name"]), f"{field}.properties"),
        "limit": values.get("limit", 10),
    }


def _table(value: object, field: str, known: Collection[str] | None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"is {type(value).__name__}, not a table", field=field)
    for key in value:
        if known is not None and key not in known:
            raise InvalidInputError(f"is unknown{near_miss(key, known)}", field=f"{field}.{key}")
    return value


def _optional(values: Mapping[str, Any], name: str, kind: type, field: str) -> Any:
    value = values.get(name)
    if value is not None and not isinstance(value, kind):
        raise InvalidInputError(f"is {type(value).__name__}, not {kind.__name__}", field=f"{field}.{name}")
    return value


def _names(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InvalidInputError("is not a list of property names", field=field)
    return tuple(value)
