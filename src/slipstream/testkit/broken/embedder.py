"""Embedders that break their contract, one way each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from slipstream.testkit.embedders import HashEmbedder

Matrix = npt.NDArray[np.float32]


class NotANumber(HashEmbedder):
    """Returns NaN for a text with an emoji."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        rows = super().embed(texts)
        rows[[any(ord(character) > 0xFFFF for character in text) for text in texts]] = np.nan
        return rows


class ZeroForEmpty(HashEmbedder):
    """Returns the zero vector for the empty text."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        rows = super().embed(texts)
        rows[[not text for text in texts]] = 0
        return rows


class WrongOrder(HashEmbedder):
    """Sorts by length for speed, and forgets to sort back."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        return super().embed(sorted(texts, key=len))


class BatchDependent(HashEmbedder):
    """Leaks a little of the batch into each row, as dynamic quantisation does."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        rows = super().embed(texts)
        if len(rows) > 1:
            rows += 0.05 * rows.mean(axis=0)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


class WrongDimension(HashEmbedder):
    """Returns one number too few."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        rows = super().embed(texts)[:, :-1]
        norms: Matrix = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / norms


class NotNormalised(HashEmbedder):
    """Returns vectors of length two."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        return 2 * super().embed(texts)


class Drifting(HashEmbedder):
    """Returns another vector at each call."""

    _calls = count(1)

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        rows = super().embed(texts)
        rows[:, 0] += 0.1 * next(self._calls)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


class MergesDuplicates(HashEmbedder):
    """Returns one row for equal texts."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        return super().embed(list(dict.fromkeys(texts)))


class AllTheSame(HashEmbedder):
    """Gives every text the same vector."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        return super().embed(["same"] * len(texts))


class DoublePrecision(HashEmbedder):
    """Returns float64."""

    def embed(self, texts: Sequence[str]) -> Matrix:
        """Break it."""
        return super().embed(texts).astype(np.float64)


class NeverCloses(HashEmbedder):
    """Goes on working when it is closed."""

    def close(self) -> None:
        """Break it."""


class CutsSilently(HashEmbedder):
    """Counts no token past its limit, so that nobody learns what was cut off."""

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Break it."""
        return [min(tokens, self.spec.tokens_max) for tokens in super().count_tokens(texts)]


BROKEN: Mapping[type[HashEmbedder], str] = MappingProxyType(
    {
        NotANumber: "test_unusual_text_is_embedded",
        ZeroForEmpty: "test_an_empty_text_is_embedded_or_refused",
        WrongOrder: "test_rows_come_in_the_order_of_the_texts",
        BatchDependent: "test_a_vector_does_not_depend_on_its_batch",
        WrongDimension: "test_vectors_are_float32_of_the_dimension",
        NotNormalised: "test_vectors_have_unit_length",
        Drifting: "test_the_same_text_gives_the_same_vector_again",
        MergesDuplicates: "test_duplicates_have_a_row_each",
        AllTheSame: "test_different_texts_have_different_vectors",
        DoublePrecision: "test_vectors_are_float32_of_the_dimension",
        NeverCloses: "test_a_closed_embedder_says_so",
        CutsSilently: "test_tokens_are_counted",
    }
)
"""Each broken embedder and the test that must notice."""
