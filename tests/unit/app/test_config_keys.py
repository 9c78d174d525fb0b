"""Every key of the configuration is checked, and what is wrong is named: read off the models, so none is missed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from slipstream.app.composition import initialise
from slipstream.app.config import CONFIG_NAME, Config, ModelsConfig, SyncConfig, load_config, parse_config
from slipstream.app.config_errors import allowed
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.engine.settings import SyncSettings

Keys = tuple[str, ...]
FREE = {
    ("models", "default"): "a model's name is looked up when its models are registered",
    ("models", "openai", "*", "model"): "a name at the server, which the server refuses",
    ("models", "openai", "*", "version"): "the user's own name for the weights",
    ("index", "host"): "a host, which the connection finds out",
    ("feed", "id_prefix"): "put before ids; what it stands for is checked with the rows",
}
"""Texts that have no form of their own; every other text must have one."""
PARSED_ELSEWHERE = {("views",), ("relationship_views",)}


def _kind(annotation: Any) -> Any:
    others = [each for each in get_args(annotation) if each is not NoneType]
    while NoneType in get_args(annotation) or hasattr(annotation, "__metadata__"):
        annotation = others[0] if NoneType in get_args(annotation) else annotation.__origin__
        others = [each for each in get_args(annotation) if each is not NoneType]
    return annotation


def _sections(model: type[BaseModel], place: Keys = ()) -> Iterator[tuple[Keys, type[BaseModel]]]:
    yield place, model
    for name, field in model.model_fields.items():
        kind, inner = _kind(field.annotation), (*place, name)
        if get_origin(kind) is dict and isinstance(get_args(kind)[1], type):
            kind, inner = get_args(kind)[1], (*inner, "*")
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _sections(kind, inner)


SECTIONS = dict(_sections(Config))
LEAVES: dict[Keys, FieldInfo] = {
    (*place, name): field
    for place, model in SECTIONS.items()
    for name, field in model.model_fields.items()
    if not any(each[: len(place) + 1] == (*place, name) for each in SECTIONS)
    and (*place, name) not in PARSED_ELSEWHERE
}
NUMBERS = {place: field for place, field in LEAVES.items() if _kind(field.annotation) in (int, float)}


def _refused(place: Keys, value: object) -> InvalidInputError:
    """Return the error for one wrong value at a place."""
    table: dict[str, Any] = {place[-1]: value}
    for name in reversed(place[:-1]):
        table = {"any" if name == "*" else name: table}
    with pytest.raises(InvalidInputError) as caught:
        Config(**table)
    return caught.value


def _named(place: Keys) -> str:
    return ".".join("any" if name == "*" else name for name in place)


def test_the_table_is_the_whole_configuration() -> None:
    assert len(SECTIONS) >= 17
    assert len(LEAVES) >= 75
    assert len(NUMBERS) >= 50


@pytest.mark.parametrize("place", LEAVES, ids=".".join)
def test_a_value_of_a_wrong_kind_is_refused_by_name(place: Keys) -> None:
    for value in (object, [[1]], {"a": {"b": 1}}):  # nothing that any key takes
        error = _refused(place, value)
        assert error.field.startswith(_named(place))
        assert "must be " in str(error), error


@pytest.mark.parametrize("place", NUMBERS, ids=".".join)
def test_a_number_has_a_range_that_the_error_tells(place: Keys) -> None:
    field = NUMBERS[place]
    error = _refused(place, -2)
    assert str(error) == f"{_named(place)}: must be {allowed(field)}, not -2"
    assert "at least" in str(error) or "more than" in str(error)
    assert "not a text" in str(_refused(place, "5")), "a number in quotes is no number"
    assert "not true" in str(_refused(place, True))
    if _kind(field.annotation) is float:
        for value in (math.inf, math.nan):
            assert _refused(place, value).field == _named(place)


@pytest.mark.parametrize(
    "place", [place for place, field in LEAVES.items() if _kind(field.annotation) is str], ids=".".join
)
def test_a_text_has_a_form_or_a_reason_to_have_none(place: Keys) -> None:
    if place not in FREE:
        error = _refused(place, "no such thing")
        assert error.field == _named(place)
        assert "no such thing" not in str(error), "what is meant to be an address may hold a key"


@pytest.mark.parametrize(
    "place",
    [place for place, field in LEAVES.items() if get_origin(_kind(field.annotation)) is Literal],
    ids=".".join,
)
def test_a_choice_names_its_values_and_the_near_one(place: Keys) -> None:
    values = get_args(_kind(LEAVES[place].annotation))
    error = str(_refused(place, values[0] + "x"))
    assert all(repr(value) in error for value in values)
    assert f"did you mean {values[0]!r}?" in error


@pytest.mark.parametrize("place", SECTIONS, ids=lambda place: ".".join(place) or "whole")
def test_an_unknown_key_is_refused_with_the_near_one(place: Keys) -> None:
    for known in SECTIONS[place].model_fields:
        if len(known) > 3:
            error = _refused((*place, known[:-1] + "_x"), 1)
            assert error.field == _named((*place, known[:-1] + "_x"))
            assert "is unknown; did you mean " in str(error), error
    error = _refused((*place, "zzz"), 1)
    assert "is unknown; known are " in str(error)


def test_a_key_outside_its_section_is_told_where_it_belongs() -> None:
    assert str(_refused(("cache_mb",), 1)) == "cache_mb: is unknown; it belongs into [models]"


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("[modles]\n", "modles", "did you mean 'models'?"),
        ("[models]\ncache_mbs = 1\n", "models.cache_mbs", "did you mean 'cache_mb'?"),
        ("[index]\nport = 70000\n", "index.port", "a whole number, at least 1 and at most 65535, not 70000"),
        ('[index]\nadapter = "Chroma"\n', "index.adapter", "did you mean 'chroma'?"),
        ("models = 3\n", "models", "must be a table, not 3"),
        ("[models.openai.e]\n", "models.openai.e.base_url", "is required"),
        ('[models.openai.e]\nbase_url = "x"\napi_key = "sk-1"\n', "models.openai.e.base_url", "begins with http"),
        ("[views.P]\ntemplat = 1\n", "views.P.templat", "did you mean 'template'?"),
        ('[views.P.via.e]\nrelationship = "R"\ndirection = "bth"\n', "views.P.via.e.direction", "mean 'both'?"),
        ("[scrub]\nrepair = 3\n", "scrub.repair", "a list of texts, not 3"),
    ],
)
def test_an_error_names_the_file_the_section_and_the_key(tmp_path: Path, text: str, field: str, said: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        load_config(tmp_path)
    error = str(caught.value)
    assert caught.value.field == field
    assert error.startswith(f"{field}: ")
    assert error.endswith(f"(in {tmp_path / CONFIG_NAME})")
    assert said in error
    assert "sk-1" not in error
    assert "\n" not in error


def test_a_file_that_is_no_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / CONFIG_NAME
    for content, said in (
        (b"[models\n", "is not TOML: Expected ']'"),
        ('[models]\ndefault = "\u00e9"\n'.encode("latin-1"), "is not UTF-8 (byte 20): save it as UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            load_config(tmp_path)
        assert str(caught.value).startswith(f"{path} {said}")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="can not be read: Is a directory"):
        load_config(tmp_path)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert initialise(tmp_path)
    path = tmp_path / CONFIG_NAME
    without = load_config(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_config(tmp_path) == without


def test_python_is_told_as_the_file_is() -> None:
    with pytest.raises(InvalidInputError, match=r"^cache_mb: must be a whole number, at least 0, not -1$"):
        Config(models=ModelsConfig(cache_mb=-1))
    with pytest.raises(InvalidInputError, match=r"^models\.cache_mb: must be a whole number, at least 0, not -1$"):
        parse_config("[models]\ncache_mb = -1\n")


def test_the_engines_limits_have_the_defaults_of_the_engine() -> None:
    engine = SyncSettings()
    elsewhere = {"retention", "reembed_confidence_gain", "brake"}  # in [graph], [quality] and [brake]
    assert set(SyncConfig.model_fields) == {field.name for field in fields(SyncSettings)} - elsewhere
    assert {name: getattr(engine, name) for name in SyncConfig.model_fields} == SyncConfig().model_dump()
