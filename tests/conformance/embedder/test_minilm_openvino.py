"""MiniLM by OpenVINO, in float32; bfloat16 is refused without AMX (with it, there is `bf16_suite.py`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.embedders.minilm import MINILM_SPEC, MiniLMBf16Embedder, MiniLMEmbedder
from slipstream.adapters.embedders.minilm.embedders import _PackagedEmbedder
from slipstream.adapters.embedders.minilm.openvino import OpenVinoSession, _powers_of_two
from slipstream.domain.errors import ConfigError
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import TEXTS, UNUSUAL_TEXTS, EmbedderSuite


def in_float32() -> Embedder:
    return _PackagedEmbedder(MINILM_SPEC, partial(OpenVinoSession, precision="f32"), threads=2)


class TestOpenVino(EmbedderSuite):
    def make_embedder(self) -> Embedder:
        return in_float32()


def test_other_shapes_give_the_same_vectors() -> None:
    """Widths are padded to steps of 8, and rows cut into powers of two: 23 texts are runs of 16, 4, 2 and 1."""
    texts = [*TEXTS, *UNUSUAL_TEXTS, *("word " * length for length in range(1, 24))]
    np.testing.assert_allclose(in_float32().embed(texts), MiniLMEmbedder().embed(texts), atol=2e-6)
    assert _powers_of_two(23) == [16, 4, 2, 1]
    assert _powers_of_two(8) == [8]


def test_without_amx_it_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags : avx2 avx512_vnni\n")
    with pytest.raises(ConfigError, match=r"needs a processor with AMX .* or migrate to minilm-l6-v2 or"):
        MiniLMBf16Embedder(cpuinfo=cpuinfo)


def test_what_openvino_can_not_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"OpenVINO .* can not run"):
        OpenVinoSession(tmp_path / "model.onnx", precision="f32")
