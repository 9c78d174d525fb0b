"""Reorderings: which of them a search uses, what they may move, and what happens when one fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.search.hits import SearchHit
from slipstream.search.options import SearchOptions
from slipstream.search.reordering import GRAPH_ARM, RERANKER, Reorderings, depth_of, reordered


@dataclass
class Backwards:
    """Turns the order around, and remembers what it was given."""

    name: str = RERANKER
    depth: int = 3
    given: list[str] = field(default_factory=list)

    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        self.given = [text, *(hit.entity_id for hit in hits)]
        return hits[::-1]


class Failing(Backwards):
    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        raise UnavailableError("it hangs")


def _hits(ids: str) -> list[SearchHit]:
    return [SearchHit(each, "Thing", 1.0 / (n + 1), each, each, "model") for n, each in enumerate(ids)]


def _ids(hits: Sequence[SearchHit]) -> str:
    return "".join(hit.entity_id for hit in hits)


@pytest.mark.parametrize(
    ("ids", "fixed", "ordered"),
    [
        ("abcde", 0, "cbade"),
        ("abcde", 1, "acbde"),
        ("abcde", 2, "abcde"),  # one alone has no other order
        ("abcde", 5, "abcde"),
        ("ab", 0, "ba"),
        ("", 0, ""),
    ],
)
def test_the_best_hits_move_behind_those_that_stand(ids: str, fixed: int, ordered: str) -> None:
    hits = _hits(ids)
    found, failed = reordered([Backwards()], "asked", hits, fixed=fixed)
    assert (_ids(found), failed) == (ordered, ())
    assert sorted(found, key=id) == sorted(hits, key=id)


def test_they_work_one_behind_the_other() -> None:
    second = Backwards(depth=2)
    found, _ = reordered([Backwards(depth=4), second], "asked", _hits("abcd"))
    assert (_ids(found), second.given) == ("cdba", ["asked", "d", "c"])


def test_one_that_fails_leaves_the_order_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    found, failed = reordered([Failing(name=GRAPH_ARM), Backwards()], "asked", _hits("abc"))
    assert (_ids(found), failed) == ("cba", (GRAPH_ARM,))
    assert "the graph_arm failed: it hangs" in caplog.text
    assert "asked" not in caplog.text


def test_what_a_search_does_not_say_is_as_configured() -> None:
    graph, model = Backwards(GRAPH_ARM), Backwards(RERANKER)
    all_of_it = Reorderings(graph_arm=graph, reranker=model)
    assert all_of_it.chosen(SearchOptions()) == (model,)
    assert all_of_it.chosen(SearchOptions(rerank=False)) == ()
    assert all_of_it.chosen(SearchOptions(graph_arm=True)) == (graph, model)
    on = Reorderings(graph_arm=graph, uses_graph_arm=True)
    assert on.chosen(SearchOptions()) == (graph,)
    assert on.chosen(SearchOptions(graph_arm=False)) == ()
    assert Reorderings().chosen(SearchOptions(rerank=False, graph_arm=False)) == ()


def test_hits_by_time_are_not_reordered() -> None:
    assert Reorderings(reranker=Backwards()).chosen(SearchOptions(sort="newest", rerank=True)) == ()


@pytest.mark.parametrize(
    ("options", "field_"), [(SearchOptions(rerank=True), "rerank"), (SearchOptions(graph_arm=True), "graph_arm")]
)
def test_what_is_not_there_is_refused_by_name(options: SearchOptions, field_: str) -> None:
    with pytest.raises(InvalidInputError, match=field_):
        Reorderings().chosen(options)


def test_enough_hits_are_found_for_it() -> None:
    assert depth_of([], 5) == 5
    assert depth_of([Backwards(depth=20), Backwards(depth=50)], 5) == 50
    assert depth_of([Backwards(depth=20)], 100) == 100
