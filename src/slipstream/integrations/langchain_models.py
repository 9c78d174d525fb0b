"""Embedding models of LangChain for Slipstream, and those of Slipstream for LangChain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError, PoisonEventError, UnavailableError
from slipstream.domain.models import ModelSpec
from slipstream.domain.requests import EmbeddingRequest
from slipstream.integrations.finding import Finding

try:
    from langchain_core.embeddings import Embeddings
except ImportError as error:
    raise ImportError("this needs LangChain: install slipstream-pkg[langchain]") from error

_PROBE = "slipstream"
_TOLERANCE = 1e-3  # what servers of models differ by, from one batch to another
_NORM_MIN = 1e-12
_CHARACTERS_PER_TOKEN = 4
Rows = npt.NDArray[np.float32]


class LangChainEmbedder:
    """
    A model of LangChain as one of Slipstream's, for `Options(embedders=(…,))`.

    `id` and `version` name the model in the index for good: change `version` when its vectors change, for LangChain
    does not tell. Without `id` it is the name that the model gives itself (`model`, `model_name`), else its class. A
    text is embedded by `embed_documents`, a search by `embed_query`. `outages` are the errors after which to try
    again later, besides those of the operating system: a connection, a time-out. Other errors are of one text: it is
    tried again a few times, and is a dead letter then. Making one embeds a word; closing it leaves `embeddings` open.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        *,
        id: str | None = None,  # noqa: A002  (`id` is what a spec calls it)
        version: str = "1",
        tokens_max: int = 512,
        tolerance: float = _TOLERANCE,
        outages: tuple[type[Exception], ...] = (),
    ) -> None:
        self.embeddings, self._is_closed = embeddings, False
        self._outages: tuple[type[Exception], ...] = (OSError, *outages)
        self._id = id or _name_of(embeddings)
        dimension = len(self._asked(lambda: embeddings.embed_documents([_PROBE]))[0])
        self._spec = ModelSpec(
            self._id, version, dimension, tokens_max, tolerance, counts_tokens=False, asks_otherwise=True
        )

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return unit-length vectors, in the order of the texts."""
        if not texts:
            return np.empty((0, self._spec.dimension), dtype=np.float32)
        return unit_rows(self._asked(lambda: self.embeddings.embed_documents(_sendable(texts))))

    def embed_queries(self, queries: Sequence[str]) -> Rows:
        """Return the vectors to search by."""
        return unit_rows([self._asked(partial(self.embeddings.embed_query, query)) for query in _sendable(queries)])

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Estimate how many tokens each text has: four characters to one."""
        return [1 + len(text) // _CHARACTERS_PER_TOKEN for text in texts]

    def close(self) -> None:
        """Take no more texts; the model itself is its maker's, and stays as it is."""
        self._is_closed = True

    def _asked(self, call: Callable[[], Any]) -> Any:
        if self._is_closed:
            raise UnavailableError(f"the model {self._id!r} is closed: make a new embedder")
        try:
            return call()
        except self._outages as error:
            raise UnavailableError(
                f"the LangChain model {self._id!r} did not answer ({type(error).__name__}: {error}); it is "
                "asked again"
            ) from error


class SlipstreamEmbeddings(Embeddings):  # type: ignore[misc]  # LangChain is not followed by mypy
    """The model that a PKG embeds a type with, as LangChain knows models; vectors come from its cache."""

    def __init__(self, slip: Slipstream, entity_type: str) -> None:
        self._slip, self._entity_type = slip, entity_type
        self._model_id = Finding(slip).model_of(entity_type)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return the vector of each text."""
        requests = [EmbeddingRequest(self._entity_type, text, model_id=self._model_id) for text in texts]
        return [[float(x) for x in result.embedding] for result in self._slip.embedding.embed_batch(requests)]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector to search by."""
        return [float(x) for x in self._slip.embedding.embed_query(text, self._model_id)]


def check_same_model(slip: Slipstream, entity_type: str, embeddings: Embeddings) -> None:
    """Raise `InvalidInputError` unless a PKG embeds a type as this model does, which is found by embedding a word."""
    asked = SlipstreamEmbeddings(slip, entity_type)
    ours, theirs = (unit_rows(model.embed_documents([_PROBE]))[0] for model in (asked, embeddings))
    if ours.shape != theirs.shape or float(ours @ theirs) < 1 - 10 * _TOLERANCE:
        raise InvalidInputError(
            f"the PKG embeds {entity_type!r} with another model, {Finding(slip).model_of(entity_type)!r}: leave "
            "`embedding` out to use that one, or open the PKG with SlipstreamVectorStore.open(directory, embedding)",
            field="embedding",
        )


def unit_rows(rows: Sequence[Sequence[float]]) -> Rows:
    """Return vectors at unit length; one without a direction stays as it is, and is refused by whoever checks it."""
    matrix = np.asarray(rows, dtype=np.float64)
    norms = np.linalg.norm(matrix, axis=-1, keepdims=True)
    return np.asarray(matrix / np.where(norms > _NORM_MIN, norms, 1.0), dtype=np.float32)


def _sendable(texts: Sequence[str]) -> list[str]:
    """Return the texts; raises `PoisonEventError` for those that no model can read."""
    wrong = {text: "is not valid Unicode text (a lone surrogate): correct it" for text in texts if _is_broken(text)}
    if wrong:
        raise PoisonEventError(f"{len(wrong)} of {len(texts)} texts {next(iter(wrong.values()))}", texts=wrong)
    return list(texts)


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _name_of(embeddings: Embeddings) -> str:
    for attribute in ("model", "model_name", "model_id", "deployment"):
        name = getattr(embeddings, attribute, None)
        if isinstance(name, str) and name.strip():
            return f"{type(embeddings).__name__}:{name.strip()}"
    return type(embeddings).__name__
