"""The rules by which graph, index and journal belong together: a table, and what is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from slipstream.app.remote.failures import raised_error, told_error
from slipstream.audit.incidents import Found, Seen, is_journal_older, judge, judge_seal
from slipstream.domain.errors import IncidentError
from slipstream.domain.incidents import Incident, IncidentKind, incident
from slipstream.domain.positions import ORIGIN, Position

SEEN = Seen(checkpoint=Position(50), identity="g", marks=("a b c",), remembered=Position(40), told="x")
FOUND = Found(identity="g", head=Position(60), mark="a b c", told="x")

RIGHT = {
    "as it was left": (SEEN, FOUND),
    "gone on with by others": (SEEN, replace(FOUND, head=Position(900))),
    "trimmed past what was remembered": (SEEN, replace(FOUND, told=None)),
    "died while the mark was changed": (replace(SEEN, marks=("a b", "a b c")), FOUND),
    "died before the first mark was there": (replace(SEEN, marks=(None, "a")), replace(FOUND, mark=None)),
    "a journal of before there were marks": (replace(SEEN, marks=None, identity=None), FOUND),
    "a journal of before there were identities": (replace(SEEN, identity=None), FOUND),
    "a journal that was put back": (replace(SEEN, marks=("a b",)), FOUND),
    "its identity was lost, its mark was not": (SEEN, replace(FOUND, identity="h")),
    "nothing was ever seen": (Seen(), Found(identity="g", is_empty=True)),
    "nothing was ever seen, and it is another one": (Seen(identity="h", marks=("z",)), FOUND),
    "nothing was ever seen, and there is none": (Seen(identity="h", marks=("z",)), None),
    "emptied by commits": (SEEN, replace(FOUND, head=Position(99))),
}
WRONG = {
    "no file": (SEEN, None, "missing", "has seen its log up to 50"),
    "no file, and only records": (Seen(holds_records=True), None, "missing", "holds records"),
    "a new empty one": (SEEN, Found(identity="h", is_empty=True), "empty", "has seen its log up to 50"),
    "its own, emptied with its log": (SEEN, replace(FOUND, head=ORIGIN, is_empty=True), "empty", "is empty"),
    "an empty one beside records": (Seen(holds_records=True), Found(identity="h", is_empty=True), "empty", "records"),
    "another one": (SEEN, replace(FOUND, identity="h", mark="z"), "another", "another graph"),
    "another one that is shorter": (SEEN, Found(identity="h", head=Position(3)), "another", "another graph"),
    "another one, and no mark to know it by": (
        replace(SEEN, marks=None),
        replace(FOUND, identity="h"),
        "another",
        "",
    ),
    "a log that ends too early": (SEEN, replace(FOUND, head=Position(49)), "older", "ends at 49, .* has seen 50"),
    "another history": (SEEN, replace(FOUND, told="y"), "older", "says something else at 40"),
    "the mark of an earlier day": (SEEN, replace(FOUND, mark="a b"), "older", "does not carry the mark"),
    "an earlier day, and gone on with": (SEEN, replace(FOUND, mark="a b z"), "older", "does not carry the mark"),
    "no mark at all": (SEEN, replace(FOUND, mark=None), "older", "does not carry the mark"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_graph_is_no_incident(name: str) -> None:
    assert judge(*RIGHT[name]) is None


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_graph_is_told_with_its_ways_on(
    name: str,
) -> None:
    seen, found, kind, what = WRONG[name]
    wrong = judge(seen, found)
    assert wrong is not None
    assert wrong.kind == kind
    with pytest.raises(IncidentError, match=rf"{what}.*Nothing was written\. Ways on: restore a backup .*--adopt"):
        raise wrong.refusal()
    assert "\n" not in wrong.line


@pytest.mark.parametrize(
    ("kept", "borne", "said"),
    [
        (None, None, None),
        (["j", 4], None, None),
        (["j", 4], ["j", 4], None),
        (["j", 5], ["j", 4], None),  # died before the index got it; or an older index, which audits find
        (["j", 4], ["j", 5], "from before the index was opened last"),
        (["k", 9], ["j", 5], "of another index"),
        (None, ["j", 5], "is gone"),
    ],
)
def test_an_index_that_is_newer_than_its_journal_is_told(
    kept: list[object] | None, borne: list[object] | None, said: str | None
) -> None:
    wrong = judge_seal(None if kept is None else json.dumps(kept), None if borne is None else json.dumps(borne))
    if said is None:
        assert wrong is None
        return
    assert wrong is not None
    assert wrong.kind is IncidentKind.INDEX_NEWER
    assert said in wrong.what
    assert "index.db back" in wrong.ways[0]


def test_a_journal_is_older_when_the_graph_bears_its_mark_and_newer_ones() -> None:
    assert not is_journal_older(SEEN, "a b c")
    assert is_journal_older(SEEN, "a b c d")
    assert not is_journal_older(replace(SEEN, marks=None), "a b c d")
    assert not is_journal_older(Seen(marks=("a",)), "a b")  # it had seen nothing


def test_an_incident_goes_to_other_processes_whole() -> None:
    found = incident(IncidentKind.MISSING, "the graph is gone")
    assert Incident.load(found.dump()) == found
    raised = raised_error(json.loads(json.dumps(told_error(found.refusal()))))
    assert isinstance(raised, IncidentError)
    assert raised.incident == found
    assert str(raised) == str(found.refusal())
