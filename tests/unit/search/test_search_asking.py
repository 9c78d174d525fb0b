"""The vectors of a query: of every model that answers in time; the others are named."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from slipstream.domain.errors import ConfigError, PoisonEventError, SlipstreamError, UnavailableError
from slipstream.domain.stamps import Vector
from slipstream.search.asking import QueryVectors


class Models:
    """Some fail, some hang until they are let go; all note that they were asked."""

    def __init__(self) -> None:
        self.errors: dict[str, Exception] = {}
        self.hanging: set[str] = set()
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def embed_query(self, text: str, model_id: str) -> Vector:
        del text
        self.asked.append(model_id)
        if model_id in self.hanging:
            self.let_go.wait(60)
        if model_id in self.errors:
            raise self.errors[model_id]
        return np.ones(4, dtype=np.float32)


@pytest.fixture
def models() -> Iterator[Models]:
    made = Models()
    yield made
    made.let_go.set()


@pytest.mark.parametrize("error", [UnavailableError("down"), ConfigError("wrong"), PoisonEventError("too long")])
def test_one_that_fails_is_named_and_the_others_answer(models: Models, error: SlipstreamError) -> None:
    models.errors["b"] = error
    vectors, failed = QueryVectors(models).of("query", ["a", "b", "c"])
    assert sorted(vectors) == ["a", "c"]
    assert failed == {"b": error}


def test_one_that_hangs_is_not_waited_for_and_for_a_while_not_asked(models: Models) -> None:
    models.hanging.add("b")
    vectors_of = QueryVectors(models, patience_s=3.0)
    vectors, failed = vectors_of.of("query", ["a", "b"])
    assert (list(vectors), list(failed)) == (["a"], ["b"])
    assert "did not answer within 3 s" in str(failed["b"])
    assert list(vectors_of.of("query", ["a", "b"])[1]) == ["b"]
    assert sorted(models.asked) == ["a", "a", "b"]


def test_a_text_that_one_refuses_says_nothing_of_the_next(models: Models) -> None:
    vectors_of = QueryVectors(models)
    models.errors["b"] = PoisonEventError("too long")
    vectors_of.of("a long query", ["a", "b"])
    models.errors.clear()
    assert vectors_of.of("query", ["a", "b"])[1] == {}


def test_the_only_one_is_asked_each_time_and_its_error_raised(models: Models) -> None:
    vectors_of = QueryVectors(models)
    models.errors["a"] = UnavailableError("down")
    for _ in range(2):
        with pytest.raises(UnavailableError, match="down"):
            vectors_of.of("query", ["a"])
    assert models.asked == ["a", "a"]


def test_when_none_answers_an_error_is_raised(models: Models) -> None:
    models.errors = {"a": UnavailableError("down"), "b": UnavailableError("down too")}
    with pytest.raises(UnavailableError):
        QueryVectors(models).of("query", ["a", "b"])


def test_a_defect_is_raised(models: Models) -> None:
    models.errors["b"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        QueryVectors(models).of("query", ["a", "b"])
