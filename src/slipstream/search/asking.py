"""A query's vectors, of every model that answers: one that is down or slow takes nothing from the others."""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol

from slipstream.domain.errors import ConfigError, SlipstreamError, TransientError, UnavailableError
from slipstream.domain.stamps import Vector

PATIENCE_S = 5.0
"""How long a search waits for a model while others have answered."""
_PAUSE_S = 10.0
"""For how long a model that has failed is not asked again, where there are others."""


class QueryEmbedder(Protocol):
    """What search needs of the embedding service."""

    def embed_query(self, text: str, model_id: str) -> Vector:
        """Embed a query with one model."""
        ...


class QueryVectors:
    """Embeds queries with several models at once. Safe for threads."""

    def __init__(self, service: QueryEmbedder, patience_s: float = PATIENCE_S) -> None:
        self._service, self._patience_s = service, patience_s
        self._paused: dict[str, tuple[float, SlipstreamError]] = {}

    def of(
        self, text: str, models: Sequence[str], *, must_answer: bool = True
    ) -> tuple[dict[str, Vector], dict[str, SlipstreamError]]:
        """
        Return the vector of each model that answers, and why the others did not.

        An only model is waited for as long as it takes. When none answers an error is raised, unless the search goes
        on without them (`must_answer`); and always when it is not a `SlipstreamError`.
        """
        if len(models) == 1:
            return self._of_one(text, models[0], must_answer=must_answer)
        failed = {model_id: error for model_id in models if (error := self._error_of(model_id)) is not None}
        vectors: dict[str, Vector] = {}
        for model_id, answer in self._answers(text, [model_id for model_id in models if model_id not in failed]):
            if isinstance(answer, SlipstreamError):
                failed[model_id] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                vectors[model_id] = answer
        self._note(vectors, failed)
        if failed and not vectors and must_answer:
            raise next(iter(failed.values()))
        return vectors, failed

    def _of_one(
        self, text: str, model_id: str, *, must_answer: bool
    ) -> tuple[dict[str, Vector], dict[str, SlipstreamError]]:
        if must_answer:
            return {model_id: self._service.embed_query(text, model_id)}, {}
        failed: dict[str, SlipstreamError] = {}
        vectors: dict[str, Vector] = {}
        if (paused := self._error_of(model_id)) is not None:
            return vectors, {model_id: paused}
        try:
            vectors[model_id] = self._service.embed_query(text, model_id)
        except SlipstreamError as error:
            failed[model_id] = error
        self._note(vectors, failed)
        return vectors, failed

    def _answers(self, text: str, models: Sequence[str]) -> Iterator[tuple[str, Vector | BaseException]]:
        """Yield the answer or error of each model as it comes; an `UnavailableError` for those that are too late."""
        answers: queue.Queue[tuple[str, Vector | BaseException]] = queue.Queue()

        def ask(model_id: str) -> None:
            try:
                answers.put((model_id, self._service.embed_query(text, model_id)))
            except BaseException as error:  # noqa: BLE001  (handed to whoever waits for the answer)
                answers.put((model_id, error))

        for model_id in models:
            # A thread for each model: one that answers too late is left alone.
            run = partial(contextvars.copy_context().run, ask, model_id)
            threading.Thread(target=run, name=f"slipstream-query-{model_id}", daemon=True).start()
        missing, deadline = set(models), time.monotonic() + self._patience_s
        while missing:
            try:
                model_id, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            missing.remove(model_id)
            yield model_id, answer
        for model_id in sorted(missing):
            yield model_id, UnavailableError(f"model {model_id!r} did not answer within {self._patience_s:g} s")

    def _error_of(self, model_id: str) -> SlipstreamError | None:
        until_s, error = self._paused.get(model_id, (0.0, None))
        return error if time.monotonic() < until_s else None

    def _note(self, vectors: dict[str, Vector], failed: dict[str, SlipstreamError]) -> None:
        for model_id in vectors:
            self._paused.pop(model_id, None)
        for model_id, error in failed.items():
            if isinstance(error, TransientError | ConfigError) and self._error_of(model_id) is None:
                self._paused[model_id] = (time.monotonic() + _PAUSE_S, error)
