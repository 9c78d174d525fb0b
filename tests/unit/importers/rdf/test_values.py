"""Literals are typed where their lexical form comes back exactly, and stay text where it would not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.importers.rdf.values import literal_value, main_language, one_or_list
from slipstream.importers.rdf.vocabulary import XSD


@pytest.mark.parametrize(
    ("lexical", "datatype", "value"),
    [
        ("1", "integer", 1),
        ("-7", "integer", -7),
        ("01", "integer", "01"),
        ("+1", "int", "+1"),
        ("-0", "integer", "-0"),
        (" 1", "integer", " 1"),
        ("\u0661", "integer", "\u0661"),
        ("9223372036854775807", "integer", 2**63 - 1),
        ("9223372036854775808", "integer", "9223372036854775808"),
        ("7", "nonNegativeInteger", 7),
        ("eleven", "integer", "eleven"),
        ("true", "boolean", True),
        ("1", "boolean", "1"),
        ("TRUE", "boolean", "TRUE"),
        ("0.5", "decimal", 0.5),
        ("0.50", "decimal", "0.50"),
        ("5", "decimal", 5),
        ("0.1234567890123456789", "decimal", "0.1234567890123456789"),
        ("1.5E0", "double", 1.5),
        ("1.0E30", "double", 1e30),
        ("-2.5E-7", "double", -2.5e-7),
        ("1.5e0", "double", "1.5e0"),
        ("1.50E0", "double", "1.50E0"),
        ("INF", "double", "INF"),
        ("NaN", "float", "NaN"),
        ("1_000.5", "double", "1_000.5"),
        ("1e999", "double", "1e999"),
        ("2024-02-29T10:00:00Z", "dateTime", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        ("2024-02-29T10:00:00.25Z", "dateTime", datetime(2024, 2, 29, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2024-02-29T10:00:00.250Z", "dateTime", "2024-02-29T10:00:00.250Z"),
        ("2024-02-29T10:00:00+01:00", "dateTime", "2024-02-29T10:00:00+01:00"),
        ("2024-02-29T10:00:00", "dateTime", "2024-02-29T10:00:00"),
        ("2023-02-29T10:00:00Z", "dateTime", "2023-02-29T10:00:00Z"),
        ("2024-02-29", "date", "2024-02-29"),
        ("P1Y", "duration", "P1Y"),
    ],
)
def test_a_literal_becomes(lexical: str, datatype: str, value: object) -> None:
    found = literal_value(lexical, XSD + datatype)
    assert (type(found), found) == (type(value), value)


def test_a_datatype_that_nobody_knows_is_text() -> None:
    assert literal_value("5", "http://example.org/celsius") == "5"


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_no_number_is_another_one_afterwards(number: float) -> None:
    text = repr(number)
    assert str(literal_value(text, f"{XSD}double")) == text


def test_several_values_are_a_list_in_one_order() -> None:
    assert one_or_list(["b", 2, "a", True, "b", 1]) == one_or_list([1, "a", "b", True, 2]) == [True, 1, 2, "a", "b"]
    assert one_or_list(["a", "a"]) == "a"


def test_numbers_that_python_takes_for_equal_stay_apart() -> None:
    found = one_or_list([1, 1.0, True, "1"])
    assert [(type(value), value) for value in found] == [(bool, True), (int, 1), (float, 1.0), (str, "1")]


@pytest.mark.parametrize(
    ("tags", "best"),
    [
        ({"de", "en"}, "en"),
        ({"de", "en-gb"}, "en-gb"),
        ({"fr", "de"}, "de"),
        ({"en-us", "en"}, "en"),
        ({"ang"}, "ang"),
    ],
)
def test_english_stands_for_all_languages_where_there_is_any(tags: set[str], best: str) -> None:
    assert main_language(tags) == best
