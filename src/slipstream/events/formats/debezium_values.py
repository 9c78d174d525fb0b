"""Values of columns as Kafka Connect and Debezium encode them, decoded by the name of their schema."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.events.formats.reader import LongFloat, load_json, shown

Decode = Callable[[Any], Any]
"""Returns the value; raises `ValueError` for one that is not encoded like this."""
Parameters = Mapping[str, Any]

SCALE_MAX = 20_000
"""Largest scale of a decimal: PostgreSQL has 16,383."""
_DECIMAL_SIZE_MAX = 20_000
"""Longest decimal, as characters of base64: 36,000 digits, which take a tenth of a second to decode."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
EXACT_DIGITS = 15
"""Decimals of at most so many digits survive the way to a floating point number and back."""
_INTEGER_DIGITS = 18
_FILLED_DIGITS = 1000
_JSON_DEPTH_MAX = 30
"""Deeper documents stay texts: a property may be nested 32 levels deep."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_INFINITE_DAYS = {-622191234: "infinity", -2147472691: "-infinity"}
_INFINITE_MICROSECONDS = {9223372036825200000: "infinity", -9223372036832400000: "-infinity"}
"""The numbers that stand for PostgreSQL's infinities: dates that PostgreSQL itself can not hold."""
_SECOND = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def decoder_of(name: str, parameters: Parameters) -> Decode | None:
    """Return the decoder of a semantic type; None when its values stay as they are."""
    make = _BY_NAME.get(name)
    return None if make is None else make(parameters)


def key_decoder_of(name: str, parameters: Parameters) -> Decode | None:
    """Return the decoder of a part of a key, which keeps all digits of a decimal, and a time with a zone as sent."""
    make = _BY_NAME_IN_KEYS.get(name) or _BY_NAME.get(name)
    return None if make is None else make(parameters)


# ---------------------------------------------------------------------- numbers


def unscaled(text: Any, scale: Any) -> Decimal:
    """Return the decimal in the base64 of its unscaled big-endian integer."""
    if isinstance(text, str) and len(text) > _DECIMAL_SIZE_MAX:
        raise ValueError(f"has {len(text)} characters of base64, a decimal has at most {_DECIMAL_SIZE_MAX}")
    number = Decimal(int.from_bytes(_bytes(text), "big", signed=True))
    if isinstance(scale, bool) or not isinstance(scale, int) or abs(scale) > SCALE_MAX:
        raise ValueError(f"has a scale of {shown(scale)}, not of {-SCALE_MAX} to {SCALE_MAX}")
    return _EXACT.scaleb(number, -scale)


def decimal_text(value: Decimal) -> str:
    """Return a decimal in plain digits, exactly."""
    text = format(value, "f")
    is_filled = len(text) > _FILLED_DIGITS and "." in text  # numeric(5,-2) comes with a scale of 2046, and zeros
    return text.rstrip("0").rstrip(".") if is_filled else text


def is_scaled(value: Any) -> bool:
    """Whether a value is a decimal that carries its scale, which is recognised without a schema."""
    return isinstance(value, dict) and value.keys() == {"scale", "value"} and isinstance(value["value"], str)


def scaled_text(value: Any) -> str:
    """Return the decimal that carries its scale as text."""
    if not is_scaled(value):
        return decimal_text(_number(value))
    return decimal_text(unscaled(value["value"], value["scale"]))


def _digits(parameters: Parameters) -> Decode:
    scale = _integer(parameters, "scale") or 0
    return lambda value: decimal_text(_scaled(value, scale))


def _scaled(value: Any, scale: int) -> Decimal:
    if isinstance(value, str):
        return unscaled(value, scale)
    return _number(value).quantize(Decimal(1).scaleb(-scale, _EXACT), context=_EXACT)


def _decimal(parameters: Parameters) -> Decode:
    scale = _integer(parameters, "scale") or 0
    precision = _integer(parameters, "connect.decimal.precision")
    kind: Callable[[Decimal], Any] = decimal_text
    if precision is not None and 0 < scale <= precision <= EXACT_DIGITS:
        kind = float
    elif precision is not None and scale <= 0 < precision <= _INTEGER_DIGITS + scale:
        kind = int

    return lambda value: kind(_scaled(value, scale))


def _number(value: Any) -> Decimal:
    """Return a decimal that the converter wrote as a number of JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"is no decimal: {shown(value)}")  # noqa: TRY004  (of the data, not of an argument)
    return Decimal(value.digits if isinstance(value, LongFloat) else str(value))


def _integer(parameters: Parameters, name: str) -> int | None:
    text = parameters.get(name)
    return int(text) if isinstance(text, str) and text.lstrip("-").isdecimal() and len(text) <= 6 else None


# ---------------------------------------------------------------------- times


def _date(value: Any) -> str:
    days = _whole(value)
    if days in _INFINITE_DAYS:
        return _INFINITE_DAYS[days]
    try:
        return date.fromordinal(_EPOCH_DAY + days).isoformat()
    except (ValueError, OverflowError):  # a year before 1 or after 9999
        return f"{days} days since 1970-01-01"


def _timestamp(unit: str) -> Decode:
    per_second = _SECOND[unit]

    def decode(value: Any) -> Any:
        number = _whole(value)
        microseconds = number * 10**6 // per_second
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            return _INFINITE_MICROSECONDS.get(microseconds, f"{number} {unit} since 1970-01-01")

    return decode


def _clock(unit: str) -> Decode:
    """Return what writes a time of day; MySQL's may be negative and of more than a day."""
    per_second = _SECOND[unit]

    def decode(value: Any) -> str:
        number = _whole(value)
        seconds, rest = divmod(abs(number), per_second)
        digits = f"{rest:0{len(str(per_second)) - 1}d}".rstrip("0")
        text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        return ("-" if number < 0 else "") + text + (f".{digits}" if digits else "")

    return decode


def _duration(unit: str) -> Decode:
    """Return what writes an interval as ISO 8601 in hours, minutes and seconds."""
    clock = _clock(unit)

    def decode(value: Any) -> str:
        text = clock(value)
        sign = "-" if text.startswith("-") else ""
        parts = zip(text.removeprefix("-").split(":"), "HMS", strict=True)
        said = [f"{sign}{_short(number)}{letter}" for number, letter in parts if number.strip("0.")]
        return "PT" + ("".join(said) or "0S")

    return decode


def _short(digits: str) -> str:
    short = digits.lstrip("0")
    return f"0{short}" if short.startswith(".") else short


def _zoned(value: Any) -> Any:
    """Return the time in a text; `infinity` and times outside of the years 1 to 9999 stay texts."""
    text = _text(value)
    try:
        moment = datetime.fromisoformat(text.upper())
        return text if moment.utcoffset() is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return text


def _without_zone(value: Any) -> str:
    """Return a date or a time of day without the `Z` that isostring mode adds although the column has no zone."""
    return _text(value).removesuffix("Z")


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be an integer, got {shown(value)}")  # noqa: TRY004  (of the data)
    return value


# ---------------------------------------------------------------------- texts, bytes, documents


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, got {shown(value)}")  # noqa: TRY004  (of the data)
    return value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except ValueError as error:
        raise ValueError(f"is no base64: {shown(value)}") from error


def _json(value: Any) -> Any:
    """Return the document in a text; it stays text if JSON or a property can not hold it exactly."""
    try:
        document = load_json(_text(value))
    except InvalidInputError:
        return value
    return document if _is_shallow(value, document) else value


def _is_shallow(text: str, document: Any) -> bool:
    """Whether a document is not nested deeper than a property may be."""
    level = [document] if text.count("{") + text.count("[") > _JSON_DEPTH_MAX else []
    for _ in range(_JSON_DEPTH_MAX):
        holders = [
            item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)
        ]
        level = [item for holder in holders for item in holder]
    return not level


def _members(value: Any) -> list[str]:
    text = _text(value)
    return text.split(",") if text else []


def _bits(parameters: Parameters) -> Decode:
    length = _integer(parameters, "length") or 0

    def decode(value: Any) -> str:
        number = int.from_bytes(_bytes(value), "little")
        return f"{number:0{length if length <= SCALE_MAX else 0}b}"

    return decode


def _point(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, got {shown(value)}")  # noqa: TRY004  (of the data)
    return {name: item for name, item in value.items() if name != "wkb" and item is not None}


def _always(decode: Decode) -> Callable[[Parameters], Decode]:
    return lambda _: decode


_CONNECT, _TIME, _DATA = "org.apache.kafka.connect.data.", "io.debezium.time.", "io.debezium.data."
_BY_NAME: Mapping[str, Callable[[Parameters], Decode]] = {
    f"{_CONNECT}Decimal": _decimal,
    f"{_CONNECT}Date": _always(_date),
    f"{_CONNECT}Time": _always(_clock("milliseconds")),
    f"{_CONNECT}Timestamp": _always(_timestamp("milliseconds")),
    f"{_TIME}Date": _always(_date),
    f"{_TIME}Time": _always(_clock("milliseconds")),
    f"{_TIME}MicroTime": _always(_clock("microseconds")),
    f"{_TIME}NanoTime": _always(_clock("nanoseconds")),
    f"{_TIME}Timestamp": _always(_timestamp("milliseconds")),
    f"{_TIME}MicroTimestamp": _always(_timestamp("microseconds")),
    f"{_TIME}NanoTimestamp": _always(_timestamp("nanoseconds")),
    f"{_TIME}ZonedTimestamp": _always(_zoned),
    f"{_TIME}IsoTimestamp": _always(_zoned),
    f"{_TIME}IsoDate": _always(_without_zone),
    f"{_TIME}IsoTime": _always(_without_zone),
    f"{_TIME}MicroDuration": _always(_duration("microseconds")),
    f"{_TIME}NanoDuration": _always(_duration("nanoseconds")),
    f"{_DATA}VariableScaleDecimal": _always(scaled_text),
    f"{_DATA}Json": _always(_json),
    f"{_DATA}EnumSet": _always(_members),
    f"{_DATA}Bits": _bits,
    f"{_DATA}geometry.Point": _always(_point),
}
_BY_NAME_IN_KEYS: Mapping[str, Callable[[Parameters], Decode]] = {
    f"{_CONNECT}Decimal": _digits,
    f"{_TIME}ZonedTimestamp": _always(_text),
    f"{_TIME}IsoTimestamp": _always(_text),
}
