"""What is wrong with a section of the configuration: which key, what is allowed, and what was probably meant."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss

_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
    str: "a text",
}
_VALUE_CHARACTERS_MAX = 40


def refused(section: type[BaseModel], error: ValidationError) -> InvalidInputError:
    """Return the first fault as an error whose field is named relative to the section."""
    # Report an unknown key before a missing one: it may be the missing key, misspelt.
    first = min(error.errors(include_url=False), key=lambda each: bool(each["type"] == "missing"))
    place = [str(part) for part in first["loc"]]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, InvalidInputError):  # raised by a nested section, complete but for its place
        return InvalidInputError(without_field(inner), field=".".join([*place, inner.field]))
    key = place[0] if place else ""
    if first["type"] == "extra_forbidden":
        return InvalidInputError(f"is unknown{_meant(section, key)}", field=key)
    field = section.model_fields.get(key)
    if field is None or first["type"] in ("missing", "value_error"):
        text = "is required" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
        return InvalidInputError(text, field=".".join(place) or section.__name__)
    text = f"must be {allowed(field, is_inside=len(place) > 1)}{_given(field, first['input'])}"
    return InvalidInputError(text, field=".".join(place))


def allowed(field: FieldInfo, *, is_inside: bool = False) -> str:
    """Return what a key may be: its kind, its range, or its values; or what each value of its table may be."""
    if field.description is not None:
        return field.description
    kind, bounds = _parts(field.annotation, field.metadata)
    if is_inside and get_origin(kind) is dict:
        kind, bounds = _parts(get_args(kind)[1], [])
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr, get_args(kind)))}"
    if get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "a table"
    if get_origin(kind) is tuple:
        least = next((bound.min_length for bound in bounds if getattr(bound, "min_length", None)), None)
        return f"a list of texts{f', at least {least}' if least else ''}"
    return _KINDS[kind] + _range(bounds)


def _parts(kind: Any, bounds: list[Any]) -> tuple[Any, list[Any]]:
    """Return the kind of an annotation without None, and everything that bounds it."""
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        return _parts(inner, [*bounds, *(bound for each in more for bound in getattr(each, "metadata", [each]))])
    others = [each for each in get_args(kind) if each is not NoneType]
    if NoneType in get_args(kind) and len(others) == 1:
        return _parts(others[0], bounds)
    return kind, bounds


def _range(bounds: list[Any]) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    said = [
        f"{word} {getattr(bound, name):g}"
        for name, word in words.items()
        for bound in bounds
        if getattr(bound, name, None) is not None
    ]
    if any(getattr(bound, "min_length", None) for bound in bounds):
        said.append("that is not empty")
    return f", {' and '.join(said)}" if said else ""


def _given(field: FieldInfo, value: object) -> str:
    """Return what was given instead; never a free text itself, which may be secret."""
    kind, _ = _parts(field.annotation, [])
    if isinstance(value, bool):
        return f", not {str(value).lower()}"
    if isinstance(value, int | float):
        return f", not {value!r}"
    if not isinstance(value, str):
        return f", not {'a table' if isinstance(value, dict) else 'a list' if isinstance(value, list) else 'that'}"
    if get_origin(kind) is not Literal:
        return ", not a text" if kind in (bool, int, float) else ""
    return f", not {value[:_VALUE_CHARACTERS_MAX]!r}{near_miss(value, get_args(kind))}"


def _meant(section: type[BaseModel], key: str) -> str:
    homes = [
        name
        for name, field in section.model_fields.items()
        if isinstance(field.annotation, type)
        and issubclass(field.annotation, BaseModel)
        and key in field.annotation.model_fields
    ]
    return f"; it belongs into [{homes[0]}]" if homes else near_miss(key, section.model_fields)


def without_field(error: InvalidInputError) -> str:
    """Return an error's message without the field's name in front."""
    return str(error).removeprefix(f"{error.field}: ")
