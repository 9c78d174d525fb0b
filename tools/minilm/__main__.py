"""Write the graphs into the package."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from tools.minilm.calibration import calibration_texts, load_ranges, measured_ranges, save_ranges
from tools.minilm.graphs import float32_model, two7_model
from tools.minilm.wheel import Wheel

PACKAGE = Path(__file__).parents[2] / "src/slipstream/adapters/embedders/minilm"


def built() -> dict[str, bytes]:
    """Return the graphs by the names of their files: from the committed ranges, so always the same bytes."""
    wheel = Wheel()
    models = {"float32.onnx": float32_model(wheel), "two7.onnx": two7_model(wheel, load_ranges())}
    return {name: model.SerializeToString(deterministic=True) for name, model in models.items()}


def main() -> None:
    """Build, and tell the digests that the package pins."""
    parser = argparse.ArgumentParser(prog="python -m tools.minilm", description=__doc__)
    parser.add_argument("--calibrate", action="store_true", help="measure ranges.json again; the version must change")
    if parser.parse_args().calibrate:
        save_ranges(measured_ranges(Wheel(), PACKAGE / "tokenizer.json", calibration_texts()))
    for name, content in built().items():
        (PACKAGE / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
