"""Whatever comes in a feed is a right result or a typed refusal; `python -m bench.fuzz` tries far more of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.events.formats.detect import MessageParser
from tests.depth import deeper, examples
from tests.property.feed_messages import MESSAGES, OPTIONS, broken, check, outcome

EXAMPLES = examples(60, 1_000)
pytestmark = deeper  # the properties are made inside the tests


@pytest.mark.parametrize("kind", MESSAGES)
def test_the_messages_are_right_before_they_are_broken(kind: str) -> None:
    parser = MessageParser(OPTIONS)
    for message in MESSAGES[kind]:
        assert not isinstance(outcome(parser, message), str), outcome(parser, message)
        check(message, parser)


@pytest.mark.parametrize("kind", MESSAGES)
def test_broken_messages_are_parsed_or_refused(kind: str) -> None:
    warm = MessageParser(OPTIONS)

    @settings(max_examples=EXAMPLES)
    @given(broken(kind), st.data())
    def try_one(message: Any, data: st.DataObject) -> None:
        check(message, warm)
        text = json.dumps(message, default=str)
        check(text, warm)
        place = data.draw(st.integers(0, len(text)))
        check(text[:place] + data.draw(st.text(max_size=2)) + text[place + 1 :], warm)

    try_one()
