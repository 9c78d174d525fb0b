"""Texts of data reach terminals and logs as data; what JSON says stays what it is."""

from __future__ import annotations

import io
import json
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from slipstream.cli.logs import SafeFormatter
from slipstream.cli.terminal import SafeConsole
from slipstream.domain.texts import on_one_line, printable, printable_json

HOSTILE = "a\x1b[8m\x07\x9b8m\x7f\x00\u202e\u2066\u2028\rz"
ANY = st.text(st.characters())


def is_safe(text: str) -> bool:
    return not any(
        unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")
        or each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
        for each in text
        if each not in "\n\t"
    )


@given(ANY)
def test_nothing_that_is_shown_is_obeyed(text: str) -> None:
    assert is_safe(printable(text))
    assert is_safe(on_one_line(text))
    assert not {"\n", "\t"} & set(on_one_line(text))


@given(ANY)
def test_json_stays_exact(text: str) -> None:
    shown = printable_json(json.dumps([text, {text: 1}], ensure_ascii=False))
    assert is_safe(shown)
    assert json.loads(shown) == [text, {text: 1}]


def test_letters_stay_what_they_are() -> None:
    assert printable("Zoë\nनमस्ते 😀\t日本") == "Zoë\nनमस्ते 😀\t日本"
    assert on_one_line("a\nb\tc\x1b") == "a\\nb\\tc\\x1b"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_whatever_a_console_prints_is_safe_and_its_own_colours_stay(is_terminal: bool) -> None:
    file = io.StringIO()
    console = SafeConsole(
        file=file, force_terminal=is_terminal, width=200, color_system="standard" if is_terminal else None
    )
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    console.print(f"[red]{HOSTILE}[/red]")
    console.print(HOSTILE, markup=False, soft_wrap=True)
    shown = file.getvalue()
    if is_terminal:
        assert "\x1b[31m" in shown
        shown = shown.replace("\x1b[", "")
    assert is_safe(shown)
    assert "\\x9b8m" in shown


def test_a_log_has_a_line_for_each_record() -> None:
    record = logging.LogRecord("slipstream", logging.ERROR, "f", 1, "bad %s\nforged line", (HOSTILE,), None)
    error = ValueError(HOSTILE)
    failed = logging.LogRecord("slipstream", logging.ERROR, "f", 1, "bad", (), (ValueError, error, None))
    formatter = SafeFormatter("%(levelname)s %(message)s")
    assert len(formatter.format(record).splitlines()) == 1
    assert is_safe(formatter.format(record))
    assert is_safe(formatter.format(failed))
    assert "ValueError: a\\x1b[8m" in formatter.format(failed)
