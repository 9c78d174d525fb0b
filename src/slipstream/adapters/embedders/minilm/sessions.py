"""Loaded models: from token ids to the model's output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError

Ids = npt.NDArray[np.int64]
Output = npt.NDArray[np.float32]


class Session(Protocol):
    """A model; several threads may run it at once."""

    @property
    def name(self) -> str:
        """The model's name in errors."""
        ...

    @property
    def runs_alone(self) -> bool:
        """Whether a text must not be run together with others."""
        ...

    @property
    def pads(self) -> bool:
        """Whether padding costs as much as tokens."""
        ...

    def run(self, ids: Ids, mask: Ids) -> Output:
        """Return one vector for each token, or for each text; `mask` is 0 where a row is padded."""
        ...


class OnnxSession:
    """A model in ONNX, run by onnxruntime on the caller's thread alone."""

    def __init__(self, model: Path, weights: Path | None = None, *, pads: bool = True) -> None:
        """Load a model; `weights` is the folder of its weights, if they are not beside the graph."""
        self.pads = pads
        self._session = _open_session(model, weights)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        self.name = model.name
        # Activations quantised over the whole batch would make a vector depend on the other texts.
        self.runs_alone = _quantises_dynamically(model)

    def run(self, ids: Ids, mask: Ids) -> Output:
        """Return the model's output for the rows."""
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output: Output = self._session.run(None, {name: feeds[name] for name in self._inputs})[0]
        return output


def _open_session(path: Path, weights: Path | None) -> Any:
    # onnxruntime sends telemetry, and writes under ~/.cache, unless told not to before its import. A setting of the
    # user's is left alone.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # plans memory for shapes that repeat; buckets hardly do
    graph: str | bytes = str(path)
    try:
        if weights is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
            graph = path.read_bytes()  # only a graph in memory may have its weights in another folder
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common base
        raise ConfigError(f"no ONNX model can be loaded from {path}: {error}") from error
    unknown = {node.name for node in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
    if unknown:
        raise ConfigError(f"{path} wants the inputs {sorted(unknown)}: it is not a sentence encoder over token ids")
    return session


def _quantises_dynamically(path: Path) -> bool:
    return b"DynamicQuantizeLinear" in path.read_bytes()
