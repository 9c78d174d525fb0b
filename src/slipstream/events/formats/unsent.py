"""What Debezium writes for a value that was not sent, since it did not change (an unchanged TOAST column)."""

from __future__ import annotations

from typing import Any

PLACEHOLDER = "__debezium_unavailable_value"
_UUID = "b68a35a7-17ad-35b3-af2a-ae46edb4545a"
"""The UUID of version 3 that Java makes of the placeholder's bytes: the only element of an uuid[]."""
_TEXTS = frozenset(
    {
        PLACEHOLDER,
        "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",  # bytes in base64
        "5f5f646562657a69756d5f756e617661696c61626c655f76616c7565",  # bytes in hex
        f'{{"{PLACEHOLDER}":"{PLACEHOLDER}"}}',  # hstore as JSON
        "AQEAACDmEAAAAAAA/IPXl8EAAAD8g9eXwQ==",  # geometry: a point that is on no map
        "AQEAACDmEAAADCHn/f9/ZkAYQs77/39WQA==",  # geography
    }
)
_SIZES = frozenset(len(text) for text in _TEXTS)
_CODES = [ord(character) for character in PLACEHOLDER]
"""The elements of the placeholder in an int[] or float8[]."""
_FIRST_OF_DECIMALS = "Xw=="
_DEPTH_MAX = 8
"""How deep a placeholder is looked for: in elements of arrays, structs and maps."""


def is_unsent(value: Any, depth: int = 0) -> bool:
    """Return whether a value is, or holds, the placeholder in the form of any column type."""
    kind = type(value)
    if kind is str:
        return len(value) in _SIZES and value in _TEXTS
    if kind is list:
        return bool(value) and depth < _DEPTH_MAX and _is_unsent_list(value, depth)
    if kind is dict:
        return depth < _DEPTH_MAX and any(
            name == PLACEHOLDER or is_unsent(item, depth + 1) for name, item in value.items()
        )
    return False


def _is_unsent_list(items: list[Any], depth: int) -> bool:
    first = items[0]
    if len(items) == 1 and (first == _UUID or is_unsent(first, depth + 1)):
        return True
    if len(items) == len(_CODES):
        return items == _CODES or _are_codes_as_decimals(items)
    return any(type(item) in (list, dict) and is_unsent(item, depth + 1) for item in items)


def _are_codes_as_decimals(items: list[Any]) -> bool:
    """Whether each element is a decimal of one byte, with a scale of its own or not."""
    texts = [item.get("value") if isinstance(item, dict) else item for item in items]
    return texts[0] == _FIRST_OF_DECIMALS and all(isinstance(text, str) and len(text) == 4 for text in texts)
