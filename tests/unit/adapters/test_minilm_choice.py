"""Which MiniLM a new PKG is given, and that nothing but its own settings decides it later."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.embedders.minilm import MINILM_INT8_SPEC, MINILM_SPEC, fastest_minilm
from slipstream.adapters.embedders.minilm.processor import processor_flags
from slipstream.app.composition import initialise, opening
from slipstream.app.config import TEMPLATE, Config, load_config, parse_config, text_for_new
from slipstream.domain.models import ModelSpec


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse2 avx2 fma", MINILM_SPEC),
        ("fpu avx2 avx512f avx512_vnni", MINILM_INT8_SPEC),
        ("fpu avx2 avx_vnni", MINILM_INT8_SPEC),
        ("fpu avx512_vnni_like", MINILM_SPEC),
    ],
)
def test_integers_are_chosen_where_there_is_an_instruction_for_them(
    tmp_path: Path, flags: str, expected: object
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(cpuinfo) == set(flags.split())
    assert fastest_minilm(cpuinfo) == expected


def test_without_word_of_the_processor_it_is_float32(tmp_path: Path) -> None:
    assert fastest_minilm(tmp_path / "none") == MINILM_SPEC
    (tmp_path / "arm").write_text("processor : 0\nFeatures : fp asimd asimddp\n")
    assert fastest_minilm(tmp_path / "arm") == MINILM_SPEC


@pytest.mark.parametrize("spec", [MINILM_SPEC, MINILM_INT8_SPEC])
def test_a_new_pkg_writes_down_what_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ModelSpec
) -> None:
    monkeypatch.setattr(opening, "model_for_new", lambda: spec.id)
    assert initialise(tmp_path)
    monkeypatch.setattr(opening, "model_for_new", lambda: "of another machine")
    assert not initialise(tmp_path)
    assert load_config(tmp_path).models.default == spec.id


def test_the_template_is_all_defaults_but_for_the_model() -> None:
    assert parse_config(TEMPLATE) == Config()
    assert parse_config(text_for_new("minilm-l6-v2-int8")).models.default == "minilm-l6-v2-int8"
    assert text_for_new(Config().models.default) == TEMPLATE
