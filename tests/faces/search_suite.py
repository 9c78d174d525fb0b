"""What searches do alike by every face: modes, ranges of time, order, explanations, and why something is no hit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError, SlipstreamError
from tests.faces.worlds import Face

EVENTS: dict[str, dict[str, Any]] = {
    "flood 1": {"timestamp": "1910-01-28", "extraction_confidence": 0.9, "source_document_id": "press"},
    "flood 2": {"timestamp": datetime(1953, 2, 1, tzinfo=UTC), "extraction_confidence": 0.4},
    "flood 3": {"timestamp": "2002-08", "source_document_id": "press"},
    "flood 4": {},
}
BAD_SEARCHES: dict[str, tuple[type[SlipstreamError], str, dict[str, Any]]] = {
    "no mode": (InvalidInputError, "mode", {"mode": "guessing"}),
    "no order": (InvalidInputError, "sort", {"sort": "upwards"}),
    "no time": (InvalidInputError, "since", {"since": "soon"}),
    "an end before its beginning": (InvalidInputError, "until", {"since": "2001", "until": "2000"}),
    "no share": (InvalidInputError, "min_confidence", {"min_confidence": 1.5}),
    "no half life": (InvalidInputError, "half_life_days", {"half_life_days": 0}),
}


class SearchSuite:
    """The same searches with the same answers; a subclass gives the fixture `face`."""

    def test_searches_are_narrowed_by_time_confidence_and_source(self, face: Face) -> None:
        self._flooded(face)
        assert self._found(face, since="1911", until="2001-12-31") == {"flood 2"}
        assert self._found(face, since=datetime(1953, 2, 1, tzinfo=UTC), until="2002") == {"flood 2", "flood 3"}
        assert self._found(face, min_confidence=0.5) == {"flood 1"}
        assert self._found(face, source="press") == {"flood 1", "flood 3"}
        assert self._found(face, since="1900", time_property="happened") == set()
        assert self._found(face) == set(EVENTS)

    def test_hits_are_ordered_by_time(self, face: Face) -> None:
        self._flooded(face)
        order = ["flood 1", "flood 2", "flood 3", "flood 4"]
        assert [hit.entity_id for hit in self._search(face, sort="oldest")] == order
        assert [hit.entity_id for hit in self._search(face, sort="newest")] == [*reversed(order[:3]), "flood 4"]

    def test_age_costs_a_score_and_what_has_none_keeps_it(self, face: Face) -> None:
        self._flooded(face)
        plain = {hit.entity_id: hit.score for hit in self._search(face, mode="vector")}
        aged = {hit.entity_id: hit.score for hit in self._search(face, mode="vector", half_life_days=10_000)}
        assert aged["flood 4"] == pytest.approx(plain["flood 4"])
        assert aged["flood 1"] < aged["flood 3"] < plain["flood 3"]

    def test_names_and_words_are_found_each_by_its_mode(self, face: Face) -> None:
        self._flooded(face)
        exact = self._search(face, "FLOOD 2", mode="exact")
        assert [hit.entity_id for hit in exact] == ["flood 2"]
        words = self._search(face, "stories told of a river", mode="keyword")
        assert {hit.entity_id for hit in words} == set(EVENTS)
        assert self._search(face, "qwertzuiop", mode="keyword").hits == ()
        first = self._search(face, "flood 3").hits[0]
        assert first.entity_id == "flood 3"

    def test_a_search_explains_itself(self, face: Face) -> None:
        self._flooded(face)
        found = self._search(face, "flood 2 river", mode="hybrid", explain=True, until="1999")
        assert found.explanation is not None
        assert found.explanation.mode == "hybrid"
        assert {"vector", "keyword"} <= found.frontiers.keys()
        assert min(found.frontiers.values()) == found.frontier
        why = next(hit for hit in found if hit.entity_id == "flood 2").explanation
        assert why is not None
        assert {"vector", "keyword"} <= {share.arm for share in why.arms}
        assert "river" in why.matched
        assert "river" in why.snippet
        assert self._search(face, "flood 2").hits[0].explanation is None

    def test_it_is_told_why_something_is_no_hit(self, face: Face) -> None:
        self._flooded(face)
        slip = face.slip
        position = slip.pkg.upsert_entity("Flood", "flood 5", {"name": "flood 5"})
        slip.pkg.delete_entity("flood 5")

        def why(entity_id: str, text: str = "flood", **asked: Any) -> str:
            told = slip.why_not(text, entity_id, 4, entity_type="Flood", after=slip.pkg.last_commit, **asked)
            assert told.entity_id == entity_id
            assert told.line
            return str(told.reason)

        assert position > 0
        assert why("flood 1") == "found"
        assert why("flood 1", since="2000") == "filtered"
        assert why("flood 1", text="qwertzuiop", mode="keyword") == "no_such_word"
        assert why("flood 5") == "deleted"
        assert why("never there") == "unknown"

    @pytest.mark.parametrize("what", BAD_SEARCHES)
    def test_what_can_not_be_searched_is_refused_by_name(self, face: Face, what: str) -> None:
        kind, field, asked = BAD_SEARCHES[what]
        with pytest.raises(kind) as refused:
            face.slip.search("x", **asked)
        assert getattr(refused.value, "field", None) == field
        with pytest.raises(kind) as refused:
            face.slip.why_not("x", "ada", **asked)
        assert getattr(refused.value, "field", None) == field

    def _flooded(self, face: Face) -> None:
        with face.slip.pkg.transaction() as tx:
            for name, properties in EVENTS.items():
                text = {"name": name, "description": "a story that was told of the river"}
                tx.upsert_entity("Flood", name, {**text, **properties})

    def _search(self, face: Face, text: str = "flood of the river", **asked: Any) -> Any:
        return face.slip.search(text, 10, entity_type="Flood", after=face.slip.pkg.last_commit, **asked)

    def _found(self, face: Face, **asked: Any) -> set[str]:
        return {hit.entity_id for hit in self._search(face, **asked)}
