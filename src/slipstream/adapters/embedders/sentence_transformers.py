"""Models that sentence-transformers can load from a local directory (safetensors, torch)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError
from slipstream.domain.models import ModelSpec


class SentenceTransformersEmbedder:
    """
    Embeds with sentence-transformers on torch, from files that are on this machine already.

    `version` names the weights in the directory: change it when they change.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        id: str | None = None,  # noqa: A002 - `id` is what a spec calls it
        version: str = "1",
        device: str = "cpu",
        batch_max: int = 64,
        tolerance: float = 1e-5,
    ) -> None:
        folder = Path(directory)
        if not folder.is_dir():
            raise ConfigError(f"{folder} is no directory: download the model first and give its directory")
        self._model: Any = _load(folder, device)
        self._batch_max = batch_max
        self._lock = threading.Lock()
        self._spec = ModelSpec(
            id=id or folder.resolve().name,
            version=version,
            dimension=int(self._model.get_sentence_embedding_dimension()),
            tokens_max=int(self._model.max_seq_length),
            tolerance=tolerance,
        )

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts."""
        model = self._opened()
        if not texts:
            return np.empty((0, self._spec.dimension), dtype=np.float32)
        with self._lock:  # torch uses all cores for one call; two at a time only share them
            try:
                rows = model.encode(
                    list(texts), batch_size=self._batch_max, normalize_embeddings=True, show_progress_bar=False
                )
            except (UnicodeEncodeError, TypeError) as error:
                raise PoisonEventError(
                    f"one of {len(texts)} texts is not valid Unicode text (a lone surrogate?): correct it"
                ) from error
        return np.asarray(rows, dtype=np.float32)

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text has, before any is cut off."""
        tokenizer = self._opened().tokenizer
        return [len(ids) for ids in tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        self._model = None

    def _opened(self) -> Any:
        if self._model is None:
            raise UnavailableError(f"the model {self._spec.id!r} is closed: make a new embedder")
        return self._model


def _load(folder: Path, device: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError("this model needs torch: install slipstream-pkg[sentence-transformers]") from error
    try:
        return SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no sentence-transformers model can be loaded from {folder}: {error}") from error
