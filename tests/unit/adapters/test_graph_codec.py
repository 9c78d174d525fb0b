"""Properties out of a row's text: what is read in one go says the same as what is looked at closely."""

from __future__ import annotations

import json

import pytest

from slipstream.adapters.graphs.sqlite.codec import decode_properties
from slipstream.domain.errors import PoisonEventError

TEXTS: tuple[dict[str, object], ...] = (
    {}, {"name": "Ada"}, {"n": 1, "x": 1.5, "ok": True, "text": 'said \\"so\\"'}, {"a": None, "b": "x"},
    {"id": "own", "b": "x"}, {"list": [1, "two", {"x": []}]}, {"map": {"x": {"y": 1}}}, {"price": "$5", "$": "$$"},
    {"when": {"$datetime": "2026-01-02T03:04:05+00:00"}}, {"accent": "é \u2028 \U0001f600"}, {"": ""},
)  # fmt: skip


@pytest.mark.parametrize("properties", TEXTS, ids=repr)
def test_bytes_and_text_of_the_same_properties_are_read_alike(properties: dict[str, object]) -> None:
    for text in (json.dumps(properties), json.dumps(properties, ensure_ascii=False), f" {json.dumps(properties)}\n"):
        assert decode_properties(text.encode(), "ada") == decode_properties(text, "ada")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"1", b"{} {}", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"a": 1}x', b'{"a":'],
    ids=repr,
)
def test_what_nobody_can_work_with_is_refused(text: bytes) -> None:
    with pytest.raises(PoisonEventError, match="'ada' can not be read"):
        decode_properties(text, "ada")
