"""The wheel's model run by OpenVINO in bfloat16: experimental, for processors with AMX."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from slipstream.adapters.embedders.minilm.sessions import Ids, Output
from slipstream.domain.errors import ConfigError

_WIDTH_STEP = 8
_STREAMS = 2
_EXTRA = "the model minilm-l6-v2-bf16 needs OpenVINO: install slipstream-pkg[openvino], or take another model"


class OpenVinoSession:
    """
    A model that OpenVINO runs in few shapes: widths in steps of 8, rows in powers of two.

    OpenVINO compiles kernels for each new shape, so batches are cut into shapes that recur. `precision` is the type
    in which products are computed, where the processor can.
    """

    runs_alone, pads = False, True

    def __init__(self, model: Path, *, precision: str) -> None:
        self.name = model.name
        self._model = _compiled(model, precision)
        self._inputs = [node.any_name for node in self._model.inputs]
        self._own = threading.local()

    def run(self, ids: Ids, mask: Ids) -> Output:
        """Return the model's output for the rows."""
        width = ids.shape[1]
        padding = ((0, 0), (0, -width % _WIDTH_STEP))
        ids, mask = np.pad(ids, padding), np.pad(mask, padding)
        parts, start = [], 0
        for rows in _powers_of_two(len(ids)):
            parts.append(self._inferred(ids[start : start + rows], mask[start : start + rows])[:, :width])
            start += rows
        return np.concatenate(parts)

    def _inferred(self, ids: Ids, mask: Ids) -> Output:
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        request = getattr(self._own, "request", None)
        if request is None:  # a request holds its inputs and outputs: one for each thread
            request = self._own.request = self._model.create_infer_request()
        output: Output = request.infer({name: feeds[name] for name in self._inputs}, share_inputs=True)[0]
        return output.copy()  # the next run writes into the same place


def _powers_of_two(count: int) -> list[int]:
    """Return the powers of two that make up a count, the greatest first."""
    return [1 << bit for bit in reversed(range(count.bit_length())) if count >> bit & 1]


def _compiled(model: Path, precision: str) -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ConfigError(_EXTRA) from error
    core = openvino.Core()
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        # Else activations become int8 where the processor has VNNI, whatever the precision is.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": _STREAMS,
        "INFERENCE_NUM_THREADS": _STREAMS,
        "ENABLE_CPU_PINNING": False,
    }
    try:
        return core.compile_model(core.read_model(model), "CPU", settings)
    except RuntimeError as error:
        raise ConfigError(f"OpenVINO {openvino.__version__} can not run {model}: {error}") from error
