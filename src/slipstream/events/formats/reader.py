"""Reads untrusted JSON: bounded, exact, and every refusal names its field."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

from slipstream.domain.errors import InvalidInputError

TEXT_SIZE_MAX = 16 * 1024 * 1024
"""Longest accepted text, in bytes of UTF-8."""
DEPTH_MAX = 100
"""Deepest accepted nesting of objects and arrays."""
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
_LONG_NUMBER = 17
"""Numbers of fewer characters have at most 15 digits, all of which a float keeps."""
_SURE_DIGITS = 18
"""Integers of at most so many digits always fit 64 bits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class LongFloat(float):
    """A number of JSON that may have more digits than a float keeps; its text is there for decoders of decimals."""

    __slots__ = ("digits",)

    def __new__(cls, digits: str) -> Self:
        number = super().__new__(cls, digits)
        number.digits = digits
        return number

    digits: str


class Reader:
    """A JSON object and its place in the input, so that errors about a field name the whole path."""

    __slots__ = ("data", "prefix")

    def __init__(self, data: Mapping[str, Any], prefix: str = "") -> None:
        self.data = data
        self.prefix = prefix

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return self.data.get(name) is not None

    def refused(self, name: str, message: str) -> InvalidInputError:
        """Return the error that refuses a field."""
        return InvalidInputError(message, field=f"{self.prefix}{shown_name(name)}")

    def object(self, name: str) -> Reader:
        """Return the object in a field."""
        value = self._required(name)
        if not isinstance(value, dict):
            raise self.refused(name, f"must be an object, got {shown(value)}")
        return Reader(value, f"{self.prefix}{name}.")

    def object_or_none(self, name: str) -> Reader | None:
        """Return the object in a field, None when it is absent or null."""
        return None if self.data.get(name) is None else self.object(name)

    def text(self, name: str) -> str:
        """Return the non-empty text in a field."""
        value = self._required(name)
        if not isinstance(value, str) or not value:
            raise self.refused(name, f"must be a non-empty text, got {shown(value)}")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return the non-empty text in a field, None when it is absent or null."""
        return None if self.data.get(name) is None else self.text(name)

    def texts(self, name: str) -> Sequence[str]:
        """Return the texts in a field; none when it is absent or null."""
        value = self.data.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.refused(name, f"must be an array of non-empty texts, got {shown(value)}")
        return value

    def identity(self, name: str) -> str:
        """Return the id in a field, a non-empty text or an integer, as text."""
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise self.refused(name, f"an id must be a non-empty text or an integer, got {shown(value)}")
        return str(value)

    def moment(self, name: str) -> datetime:
        """Return the ISO 8601 time with a zone in a field, in UTC."""
        value = self._required(name)
        try:
            parsed = value if isinstance(value, datetime) else datetime.fromisoformat(self.text(name).upper())
            if parsed.utcoffset() is None:
                raise self.refused(name, f"{value!s} has no time zone: add Z or an offset")
            return parsed.astimezone(UTC)
        except InvalidInputError:
            raise
        except (ValueError, OverflowError) as error:
            raise self.refused(name, f"{shown(value)} is not an ISO 8601 time that can be told in UTC") from error

    def milliseconds(self, name: str) -> datetime:
        """Return the milliseconds since 1970 in a field as a time in UTC."""
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refused(name, f"must be an integer of milliseconds, got {shown(value)}")
        try:
            return _EPOCH + timedelta(milliseconds=value)
        except OverflowError as error:
            raise self.refused(name, f"{value} milliseconds since 1970 is outside of the years 1 to 9999") from error

    def _required(self, name: str) -> Any:
        value = self.data.get(name)
        if value is None:
            raise self.refused(name, "is required")
        return value


def load_json(text: str | bytes, prefix: str = "", whole: str = "event") -> Any:
    """
    Return the JSON value in a text; raises `InvalidInputError` for anything that is not exact JSON.

    `whole` is what the text as a whole is called in that error.
    """

    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"is not UTF-8: {error}", field=f"{prefix}{whole}") from error
    if len(decoded) > TEXT_SIZE_MAX // 4 and len(decoded.encode("utf-8", "surrogatepass")) > TEXT_SIZE_MAX:
        raise InvalidInputError(f"is longer than {TEXT_SIZE_MAX} bytes", field=f"{prefix}{whole}")
    try:
        return _loaded(decoded, prefix)
    except RecursionError as error:
        raise InvalidInputError(f"is nested deeper than {DEPTH_MAX} levels", field=f"{prefix}{whole}") from error
    except InvalidInputError:
        raise
    except ValueError as error:  # JSONDecodeError, or an integer of thousands of digits
        raise InvalidInputError(f"is not JSON: {error}", field=f"{prefix}{whole}") from error


def _loaded(text: str, prefix: str) -> Any:
    try:
        value = _DECODER.decode(text)
    except _DoubtError:
        return checked_json(json.loads(text), prefix)  # names the number that does not fit 64 bits, and its field
    except _TwiceError as error:
        raise InvalidInputError("is there twice in one object", field=f"{prefix}{error.args[0]}") from None
    return value if _is_sound(text) else checked_json(value, prefix)


class _DoubtError(Exception):
    """A number does not fit 64 bits, or is a constant that JSON does not have."""


class _TwiceError(Exception):
    """A field is there twice in one object."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(shown_name(next(name for name in names if names.count(name) > 1)))
    return found


def _whole_number(digits: str) -> int:
    number = int(digits)
    if len(digits) > _SURE_DIGITS and not INTEGER_MIN <= number <= INTEGER_MAX:
        raise _DoubtError
    return number


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _DoubtError
    return number if len(digits) < _LONG_NUMBER else LongFloat(digits)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_whole_number, parse_float=_number, parse_constant=_number
)
"""Checks objects and numbers while parsing, which saves a second pass."""


def _is_sound(text: str) -> bool:
    """Whether a text can hold nothing that `checked_json` refuses, so that its slow pass can be left out."""
    return (
        text.count("{") + text.count("[") <= DEPTH_MAX
        and not _is_broken(text)
        and ("\\" not in text or _ESCAPED_SURROGATE.search(text) is None)
    )


def checked_json(value: Any, prefix: str = "") -> Any:
    """Return a copy in plain dicts and lists; raises `InvalidInputError` that names what JSON can not carry."""
    return _checked(value, prefix, "", 0)


def _checked(value: Any, prefix: str, path: str, depth: int) -> Any:
    problem = _problem(value) if depth <= DEPTH_MAX else f"is nested deeper than {DEPTH_MAX} levels"
    if problem is not None:
        raise InvalidInputError(problem, field=f"{prefix}{path or 'event'}")
    if isinstance(value, Mapping):
        copy = {}
        for name, item in value.items():
            where = f"{path}.{shown_name(name)}" if path else shown_name(name)
            if not isinstance(name, str) or _is_broken(name):
                raise InvalidInputError("a field's name must be a text without lone surrogates", field=prefix + where)
            copy[name] = _checked(item, prefix, where, depth + 1)
        return copy
    if isinstance(value, list | tuple):
        return [_checked(item, prefix, f"{path}[{number}]", depth + 1) for number, item in enumerate(value)]
    return value


def _problem(value: Any) -> str | None:
    """Return what is wrong with a value alone, None when nothing is."""
    problem: str | None = None
    match value:
        case str():
            problem = "contains a lone surrogate, which is no text" if _is_broken(value) else None
        case int():  # booleans too
            problem = None if INTEGER_MIN <= value <= INTEGER_MAX else "does not fit 64 bits: send it as text"
        case float():
            problem = None if math.isfinite(value) else "must be a finite number"
        case datetime():
            problem = "has no time zone: add Z or an offset" if value.utcoffset() is None else None
        case None | Mapping() | list() | tuple():
            pass
        case _:
            problem = f"is a {type(value).__name__}, which JSON does not have"
    return problem


def _is_broken(text: str) -> bool:
    return not text.isascii() and _SURROGATE.search(text) is not None


def shown(value: object) -> str:
    """Return a value as a short ASCII text for messages."""
    text = ascii(value) if not isinstance(value, dict | list) else type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def shown_name(name: object) -> str:
    """Return a field's name as a short text that can be printed."""
    return name if isinstance(name, str) and 0 < len(name) <= 80 and name.isprintable() else shown(name)


def compound_id(fields: Reader) -> str:
    """
    Return the id that a business key stands for.

    One field gives its value; several give their values in the order of their names, percent-encoded, joined by `:`.
    """
    if not fields.data:
        raise InvalidInputError("is empty: a key has at least one field", field=fields.prefix.rstrip("."))
    values = [fields.identity(name) for name in sorted(fields.data)]
    return values[0] if len(values) == 1 else ":".join(quote(value, safe=" @/.,+-_#()'") for value in values)
