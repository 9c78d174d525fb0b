"""Options of a feed: from a command line, from the configuration, and kept with what is refused."""

from __future__ import annotations

import pytest

from slipstream.app.config import parse_config
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.events.feed_options import told, unwrapped, wrapped

FULL = FeedOptions(
    id_prefix="", key_columns={"note": ("a", "b")}, tables={"p": "note"}, unsent_nulls={"note": ("vector",)}
)


def test_a_command_line_adds_to_the_configuration() -> None:
    before = FeedOptions(id_prefix="x", key_columns={"note": ("old",), "task": ("id",)})
    said = told(before, None, ["note=a,b"], ["p=note"], ["note=vector"])
    assert said.id_prefix == "x"
    assert said.key_columns == {"note": ("a", "b"), "task": ("id",)}
    assert (said.tables, said.unsent_nulls) == ({"p": "note"}, {"note": ("vector",)})
    assert told(before, "").id_prefix == ""
    assert told(before) == before


@pytest.mark.parametrize("text", ["", "note", "=id", "note=", "note=a,", "note=,a"])
def test_what_is_of_no_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="must be TABLE=COLUMN") as caught:
        told(FeedOptions(), keys=[text])
    assert caught.value.field == "--key"


def test_a_line_is_kept_as_it_is_unless_its_feed_had_options() -> None:
    line = '{"a": "é\\u0000"}'
    assert wrapped(line, FeedOptions()) == line
    assert unwrapped(line, FeedOptions()) == (line, FeedOptions())
    assert unwrapped(wrapped(line, FULL), FeedOptions()) == (
        line,
        FeedOptions(
            id_prefix="", key_columns={"note": ["a", "b"]}, tables={"p": "note"}, unsent_nulls={"note": ["vector"]}
        ),
    )


def test_a_replay_keeps_the_prefix_and_takes_what_was_missing() -> None:
    present = FeedOptions(id_prefix="new", key_columns={"task": ("id",), "note": ("c",)}, tables={"q": "note"})
    assert unwrapped("{}", present) == ("{}", FeedOptions(key_columns=present.key_columns, tables=present.tables))
    _, feed = unwrapped(wrapped("{}", FULL), present)
    assert feed.id_prefix == ""
    assert feed.key_columns == {"task": ("id",), "note": ["a", "b"]}
    assert feed.tables == {"q": "note", "p": "note"}


def test_the_configuration_has_a_section() -> None:
    text = '[feed]\nid_prefix = ""\nkey_columns = { note = ["a", "b"] }\ntables = { p = "note" }\n'
    assert parse_config(f"{text}unsent_nulls = {{ note = ['vector'] }}\n").feed.options() == FULL
    assert parse_config("").feed.options() == FeedOptions()
    with pytest.raises(InvalidInputError, match="at least 1") as caught:
        parse_config("[feed]\nkey_columns = { note = [] }\n")
    assert caught.value.field == "feed.key_columns.note"


def test_not_all_tables_are_parts_of_one() -> None:
    with pytest.raises(InvalidInputError, match=r"^tables: must name partitions"):
        told(FeedOptions(), tables=["*=note"])
    with pytest.raises(InvalidInputError, match=r"^tables: must name partitions"):
        parse_config('[feed]\ntables = { "*" = "note" }\n')
