"""
The contract of an embedder, as one class of tests.

An adapter's test file derives from `EmbedderSuite` and gives `make_embedder`. Every test takes nothing but an
embedder, so that `failures_of` can run the suite over deliberately broken ones too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from slipstream.domain.errors import PoisonEventError, UnavailableError
from slipstream.ports.embedder import Embedder

Matrix = npt.NDArray[np.float32]

TEXTS = (
    "Ada Lovelace wrote the first program for the Analytical Engine.",
    "Graph databases store nodes and relationships.",
    "pip",
    "The quarterly planning meeting was moved to Friday because the release slipped by two days, and nobody minded.",
    "A vector index finds the nearest neighbours of a query.",
    "def main() -> None: print('hello')",
)
UNUSUAL_TEXTS = (
    "naïve café, Łódź, Ελλάδα, Привет, שלום, مرحبا",
    "知識グラフの同期は一秒以内に終わる",
    "🚀👩‍👩‍👧‍👦🏳️‍🌈 emoji 🧠",
    "tab\tnewline\r\nnul\x00bell\x07 escape\x1b",
    "\u202eright to left override\u202c and a zero\u200bwidth space",
    "   ",
    "e\u0301" * 50,
    "[CLS] [SEP] [MASK] <s> </s> <unk> special tokens as text",
    "{'json': [1, 2, 3]} <b>html</b> %s %d {0} \\u0000",
)
_NORM_TOLERANCE = 1e-5


class EmbedderSuite(ABC):
    """What every embedder must do."""

    @abstractmethod
    def make_embedder(self) -> Embedder:
        """Return a new embedder; the suite closes it."""

    @pytest.fixture
    def embedder(self) -> Iterator[Embedder]:
        """Return an embedder of the test's own."""
        embedder = self.make_embedder()
        yield embedder
        embedder.close()

    def test_it_fulfils_the_protocol(self, embedder: Embedder) -> None:
        """Says who it is, within sensible limits."""
        assert isinstance(embedder, Embedder)
        spec = embedder.spec
        assert spec.id
        assert spec.version
        assert spec.dimension > 0
        assert spec.tokens_max > 0
        assert 0 <= spec.tolerance < 0.01
        assert embedder.spec == spec

    def test_vectors_are_float32_of_the_dimension(self, embedder: Embedder) -> None:
        """Has one row for each text."""
        matrix = embedder.embed(TEXTS)
        assert matrix.shape == (len(TEXTS), embedder.spec.dimension)
        assert matrix.dtype == np.float32

    def test_vectors_have_unit_length(self, embedder: Embedder) -> None:
        """Is finite and normalised."""
        _check_units(embedder.embed(TEXTS))

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        """Accepts the empty batch."""
        assert embedder.embed([]).shape == (0, embedder.spec.dimension)
        assert list(embedder.count_tokens([])) == []

    def test_rows_come_in_the_order_of_the_texts(self, embedder: Embedder) -> None:
        """Gives the reversed rows for the reversed texts, and for each text the row it has alone."""
        forward = embedder.embed(TEXTS)
        backward = embedder.embed(TEXTS[::-1])
        assert _distance_max(forward, backward[::-1]) <= _allowed(embedder)
        for number in (0, 2, len(TEXTS) - 1):
            assert _distance_max(embedder.embed([TEXTS[number]]), forward[number : number + 1]) <= _allowed(embedder)

    def test_different_texts_have_different_vectors(self, embedder: Embedder) -> None:
        """Tells texts apart by more than it varies by itself."""
        matrix = embedder.embed(TEXTS).astype(np.float64)
        similar = matrix @ matrix.T - 2 * np.eye(len(TEXTS))
        assert float(similar.max()) < 1 - 10 * max(embedder.spec.tolerance, 1e-6)

    def test_a_vector_does_not_depend_on_its_batch(self, embedder: Embedder) -> None:
        """Gives a text the same vector alone, in a small batch and among long texts."""
        alone = np.concatenate([embedder.embed([text]) for text in TEXTS])
        together = embedder.embed(TEXTS)
        long = [f"{number} " + "a much longer text than the others " * 40 for number in range(3)]
        mixed = embedder.embed([long[0], *TEXTS, *long[1:], *UNUSUAL_TEXTS])[1 : 1 + len(TEXTS)]
        assert _distance_max(alone, together) <= _allowed(embedder)
        assert _distance_max(alone, mixed) <= _allowed(embedder)

    def test_the_same_text_gives_the_same_vector_again(self, embedder: Embedder) -> None:
        """Does not drift from call to call."""
        first = embedder.embed(TEXTS)
        for _ in range(3):
            assert _distance_max(first, embedder.embed(TEXTS)) <= _allowed(embedder)

    def test_another_instance_gives_the_same_vectors(self, embedder: Embedder) -> None:
        """Depends on nothing that a restart would lose."""
        other = self.make_embedder()
        try:
            assert other.spec == embedder.spec
            assert _distance_max(embedder.embed(TEXTS), other.embed(TEXTS)) <= _allowed(embedder)
        finally:
            other.close()

    def test_duplicates_have_a_row_each(self, embedder: Embedder) -> None:
        """Does not merge equal texts of one batch."""
        texts = [TEXTS[0], TEXTS[1], TEXTS[0], TEXTS[0]]
        matrix = embedder.embed(texts)
        assert matrix.shape[0] == len(texts)
        assert _distance_max(matrix[[0, 0]], matrix[[2, 3]]) <= _allowed(embedder)

    def test_an_empty_text_is_embedded_or_refused(self, embedder: Embedder) -> None:
        """Gives a real vector or says that it never will, never a zero vector or NaN."""
        _embedded_or_refused(embedder, "")

    @pytest.mark.parametrize("text", UNUSUAL_TEXTS)
    def test_unusual_text_is_embedded(self, embedder: Embedder, text: str) -> None:
        """Takes any script, emoji and control characters."""
        _check_units(embedder.embed([text]))

    def test_text_that_is_no_unicode_is_embedded_or_refused(self, embedder: Embedder) -> None:
        """Says so in terms of the text, not with a codec's error."""
        _embedded_or_refused(embedder, "a lone \ud800 surrogate")

    def test_a_very_long_text_is_embedded_or_refused(self, embedder: Embedder) -> None:
        """Cuts or refuses 100,000 characters, in words and in one piece."""
        _embedded_or_refused(embedder, "knowledge graph " * 6_250)
        _embedded_or_refused(embedder, "x" * 100_000)

    def test_a_large_batch_is_embedded(self, embedder: Embedder) -> None:
        """Splits as its backend needs, and keeps the order."""
        texts = [f"person number {number}" for number in range(150)]
        matrix = embedder.embed(texts)
        _check_units(matrix)
        some = [0, 1, 74, 149]
        assert _distance_max(matrix[some], embedder.embed([texts[n] for n in some])) <= _allowed(embedder)

    def test_two_threads_get_their_own_vectors(self, embedder: Embedder) -> None:
        """Serves two callers at once without mixing their texts."""
        batches = [[f"thread {thread} text {number}" for number in range(8)] for thread in range(4)]
        expected = [embedder.embed(batch) for batch in batches]
        with ThreadPoolExecutor(2) as pool:
            for _ in range(3):
                for want, got in zip(expected, pool.map(embedder.embed, batches), strict=True):
                    assert _distance_max(want, got) <= _allowed(embedder)

    def test_tokens_are_counted(self, embedder: Embedder) -> None:
        """Counts more tokens in a longer text, one number for each, past its limit too."""
        counts = embedder.count_tokens(["one", "one two three four five six seven", ""])
        assert len(counts) == 3
        assert counts[1] > counts[0] >= 1
        assert counts[2] >= 0
        words = embedder.spec.tokens_max * 8
        assert embedder.count_tokens(["a word " * words])[0] > embedder.spec.tokens_max

    def test_a_closed_embedder_says_so(self, embedder: Embedder) -> None:
        """Raises `UnavailableError`, after any number of closes."""
        embedder.close()
        embedder.close()
        with pytest.raises(UnavailableError):
            embedder.embed(TEXTS)
        with pytest.raises(UnavailableError):
            embedder.embed(TEXTS[:1])


def failures_of(suite: EmbedderSuite, make: Callable[[], Embedder]) -> list[str]:
    """Run every test of a suite over an embedder of its own, and return the names of those that fail."""
    failed = []
    for name in sorted(member for member in dir(suite) if member.startswith("test_")):
        test = getattr(suite, name)
        texts: Sequence[tuple[str, ...]] = [(text,) for text in UNUSUAL_TEXTS] if "unusual" in name else [()]
        embedder = make()
        try:
            for arguments in texts:
                test(embedder, *arguments)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - any failure at all is what is counted here
            failed.append(name)
        finally:
            embedder.close()
    return failed


def _embedded_or_refused(embedder: Embedder, text: str) -> None:
    try:
        matrix = embedder.embed([text])
    except PoisonEventError:
        return
    _check_units(matrix)
    assert matrix.shape == (1, embedder.spec.dimension)


def _check_units(matrix: Matrix) -> None:
    assert np.isfinite(matrix).all()
    norms = np.linalg.norm(matrix.astype(np.float64), axis=1)
    assert float(np.abs(norms - 1).max()) <= _NORM_TOLERANCE


def _allowed(embedder: Embedder) -> float:
    return embedder.spec.tolerance + 1e-7  # what float32 itself rounds away


def _distance_max(left: Matrix, right: Matrix) -> float:
    """Return the largest cosine distance between rows; NaN becomes infinite, so that no comparison hides it."""
    assert left.shape == right.shape
    a, b = left.astype(np.float64), right.astype(np.float64)
    cosines = np.einsum("ij,ij->i", a, b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return float(np.max(np.nan_to_num(1 - cosines, nan=np.inf)))
