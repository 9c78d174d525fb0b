"""What people type: properties, conditions, moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from slipstream.cli.conditions import conditions_told
from slipstream.cli.moments import moment_told
from slipstream.cli.property_values import properties_told
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.values import decode_value

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("item", "name", "value"),
    [
        ("name=Ada", "name", "Ada"),
        ("name=", "name", ""),
        ("born=1815", "born", "1815"),
        ("born:=1815", "born", 1815),
        ("born:=1815.0", "born", 1815.0),
        ("url=https://a/?b=c", "url", "https://a/?b=c"),
        ("dc:title=x", "dc:title", "x"),
        ("dc:title:=[1, null, {}]", "dc:title", [1, None, {}]),
        ("gone:=null", "gone", None),
        ('handle:="@ada"', "handle", "@ada"),
        ("text= two  spaces\n", "text", " two  spaces\n"),
        ("name=😀", "name", "😀"),
    ],
)
def test_a_property_is_a_text_or_json(item: str, name: str, value: Any) -> None:
    found = properties_told([item])
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_a_time_is_tagged_and_kept_as_one() -> None:
    told = properties_told(['at:={"$datetime": "2026-01-31T12:00:00+02:00"}'])
    assert decode_value(told["at"]) == datetime(2026, 1, 31, 10, tzinfo=UTC)


def test_values_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("line\nZoë\n", encoding="utf-8-sig")
    (tmp_path / "json").write_text('{"a": [1, 2]}')
    assert properties_told([f"a=@{tmp_path}/text", f"b:=@{tmp_path}/json"]) == {
        "a": "line\nZoë\n",
        "b": {"a": [1, 2]},
    }
    (tmp_path / "latin").write_bytes(b"Zo\xeb")
    with pytest.raises(InvalidInputError, match=r"^a: .*latin is not UTF-8: convert it"):
        properties_told([f"a=@{tmp_path}/latin"])
    with pytest.raises(FileNotFoundError):
        properties_told([f"a=@{tmp_path}/gone"])


@pytest.mark.parametrize(
    ("items", "field", "said"),
    [
        (["name"], "properties", "is no property: give name=TEXT"),
        (["=x"], "properties", "is no property"),
        ([":=1"], "properties", "is no property"),
        (["a=1", "a:=1"], "a", "is given twice"),
        (["a:=Ada"], "a", "is not JSON .*: write a='Ada' for a text"),
        (["a:=NaN"], "a", "NaN is no number that JSON has"),
        (["a:=" + "[" * 100_000], "a", "nested too deeply"),
        (['a:={"$datetime": "yesterday"}'], "a", "is no time with its zone"),
        (['a:=[{"$datetime": "2026-01-31T12:00:00"}]'], "a", "is no time with its zone"),
        (['a:={"$datetime": "0001-01-01T00:00:00+05:00"}'], "a", "is no time with its zone"),
    ],
)
def test_what_is_no_property_is_refused_by_its_name(items: list[str], field: str, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said) as refused:
        properties_told(items)
    assert refused.value.field == field


def test_unset_removes_and_is_not_given_beside_a_value() -> None:
    assert properties_told([], unset=["a"]) == {"a": None}
    with pytest.raises(InvalidInputError, match="a: is given twice"):
        properties_told(["a=1"], unset=["a"])


def test_conditions_are_scalars_and_a_bare_word_is_a_text() -> None:
    told = conditions_told(["a=1", "b=1.5", "c=true", "d=word", 'e="7"', "f=", "g=NaN", "h=a=b"])
    assert told == {"a": 1, "b": 1.5, "c": True, "d": "word", "e": "7", "f": "", "g": "NaN", "h": "a=b"}
    assert type(told["c"]) is bool


@pytest.mark.parametrize(
    ("pairs", "said"), [(["a"], "NAME=VALUE"), (["a=1", "a=2"], "twice"), (["a=[1]"], "a must be")]
)
def test_what_is_no_condition_is_refused(pairs: list[str], said: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^metadata: .*{said}"):
        conditions_told(pairs)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12).astimezone(UTC)),  # of this machine
    ],
)
def test_a_moment_is_so_long_ago_or_a_time(text: str, moment: datetime) -> None:
    assert moment_told(text, NOW, field="since") == moment


@pytest.mark.parametrize("text", ["", "yesterday", "5", "-3d", "5y", "99999999999999w", "0001-01-01T00:00:00+05:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^since: must look like 90s"):
        moment_told(text, NOW, field="since")
