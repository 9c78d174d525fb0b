"""Arguments, results and progress of every operation survive the way through JSON."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict, Unpack

import pytest

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.app.remote.codec import Signature
from slipstream.app.remote.operations import OPERATIONS
from slipstream.audit.classes import CLASSES
from slipstream.audit.findings import AuditReport, RowsRead, TypeCoverage, report_as_dict
from slipstream.audit.reloading import kept_report
from slipstream.audit.repair import RepairBudget, RepairPlan, RepairResult
from slipstream.domain.digests import Digest
from slipstream.domain.errors import InvalidInputError, NotFoundError, UnsupportedError
from slipstream.domain.keys import entity_key, relationship_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.engine.backfill import BackfillProgress
from slipstream.engine.facts import SyncStatus
from slipstream.engine.state import Freshness
from slipstream.evolution.reembedding import ReembeddingPlan, ReembeddingProgress, ReembeddingResult
from slipstream.evolution.selector import ReembeddingSelector
from slipstream.migration.migrations import MigrationStatus
from slipstream.migration.plan import MigrationPlan
from slipstream.quality.comparison import QualityComparison, Query, QueryFigures, Relevance, SampleFigures
from slipstream.quality.tracking import QualitySettings
from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration
from slipstream.recipes.generations import Phase
from slipstream.report.alert_rules import Reading
from slipstream.search.hits import SearchHit, SearchResults
from slipstream.views.declaration import Chain, Via, View

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
KEYS = [entity_key("a,b"), relationship_key("KNOWS:a:b"), entity_key("ü")]
SPACE = Space("m", "1", 3, 2)
RECIPE = RecipeDeclaration(
    views=(
        View("Person", template="{{ name }}", via={"friends": Via("KNOWS", properties=("name", "age"))}),
        View("Event", causes=Chain("CAUSED_BY", depth=2)),
    ),
    routes={"default": "m", "Person": "n"},
    models={"m": ModelIdentity("1", 3)},
    generations={"Person": 2},
)
STATUS = SyncStatus(
    head=Position(9),
    frontier=Position(7),
    checkpoint=Position(6),
    lag_events=2,
    lag_s=0.25,
    pending=1,
    retrying=0,
    dead_letters=3,
    lanes={"live": 1},
    counters={"embedded": 4},
    freshness=Freshness(2, 0.1, 0.2, None),
)
COMPARISON = QualityComparison(
    "live",
    "next",
    10,
    (SampleFigures(KEYS[0], 0.5, -0.25),),
    (QueryFigures("who?", 1.0, 0.0, Relevance(1.0, 0.5, 0.25), None),),
    skipped=1,
)
MIGRATION = MigrationStatus(
    Phase.BUILDING, False, 2, {"Person": (SPACE, None)}, BackfillProgress(3, 10, 1.5), 4, None, NOW, None
)


def _audit(audit_id: int | None = None) -> AuditReport:
    coverage = TypeCoverage(5, 4, 3, Digest(5, 2**127 + 3), Digest(4, 7), Counter({"stale": 1}))
    report = AuditReport(
        Position(9),
        kind="full",
        id=audit_id,
        frontier=Position(8),
        started_at=NOW,
        finished_at=NOW,
        total_entities=5,
        total_embeddings=4,
        duration_s=1.25,
        rows=RowsRead(1, 2, 3, 4),
        coverage={"Person": coverage},
        unrenderable=[KEYS[2]],
        owed=[KEYS[1]],
        owed_by_lane=Counter(live=1),
        strays=2,
        types={KEYS[0]: "Person", KEYS[1]: "KNOWS"},
        notes=["a note"],
    )
    report.divergences["stale"] = [KEYS[0]]
    report.divergences["orphaned"] = [entity_key("gone")]
    return report


def _sent(name: str, **arguments: object) -> Mapping[str, Any]:
    signature = OPERATIONS[name].signature
    text, _ = signature.arguments_as_json((), arguments)
    found, _ = signature.arguments(text, MemoryAudits())
    return found


def _answered(name: str, result: object) -> Any:
    signature = OPERATIONS[name].signature
    return signature.result(json.loads(json.dumps(signature.result_as_data(result))), MemoryAudits())


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_hints_of_every_operation_can_be_sent(name: str) -> None:
    signature = OPERATIONS[name].signature
    signature.arguments(json.dumps({"arguments": {}, "callbacks": []}), MemoryAudits())
    assert signature._data.keys() <= signature._plain.parameters.keys()  # a kind that no JSON stands for would raise
    assert signature._result is not None
    assert set(signature.callbacks) <= {"on_progress", "on_comparison"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("verify", {"incremental": True, "deep": 7, "hurry": True}),
        (
            "search",
            {"text": "ü", "k": 3, "after": Position(7), "metadata": {"year": 2026, "ok": True, "x": 1.5, "s": "t"}},
        ),
        ("explain", {"entity_id": "ada"}),
        ("explain", {"entity_id": KEYS[1]}),
        ("replay_dead_letters", {"ids": ["a", "b"]}),
        ("replay_dead_letters", {"ids": None}),
        ("sync.mark", {"keys": KEYS, "reason": "why", "force": True}),
        ("sync.drain", {"timeout_s": 1.5, "migration": False}),
        ("repairer.repair", {"audit_id": 7, "kinds": ["stale"], "budget": RepairBudget(keys_per_s=5.0)}),
        ("repairer.verify", {"result": RepairResult(7, ("stale",), {"stale": 2}, 1)}),
        ("migrations.start", {"candidate": RECIPE}),
        ("migrations.start", {"candidate": None}),
        ("migrations.declare", {"views": RECIPE.views, "routes": RECIPE.routes}),
        ("quality.run", {"settings": QualitySettings(sample=None, k=5)}),
        ("quality.reembed", {"keys": KEYS, "reason": "low"}),
        ("cut_over", {"queries": [Query("who?", ("ada",)), Query("what?")], "sample": 10, "compared": False}),
        ("reembedding.plan", {"selector": ReembeddingSelector(entity_types=("Person",), created_before=NOW)}),
        ("reembedding.trigger_reembedding", {"selector": ReembeddingSelector(entity_ids=("a",)), "batch_size": 5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arguments_come_out_as_they_went_in(name: str, arguments: Mapping[str, Any]) -> None:
    found = _sent(name, **arguments)
    assert {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()} == {
        key: list(v) if isinstance(v, tuple) else v for key, v in arguments.items()
    }


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("status", STATUS),
        ("sync.drain", True),
        ("repair", 3),
        ("sync_state", None),
        ("repairer.plan", RepairPlan({"stale": 1}, 1, 2, 0.5, 0, 0)),
        ("repairer.repair", RepairResult(7, ("stale",), {"stale": 2}, 1)),
        ("repairer.unfinished", 7),
        ("repairer.unfinished", None),
        ("scrubber.health", "ok"),
        ("scrubber.summary", {"enabled": True, "due_in_s": {"full": 1.5}, "last_audit": None}),
        ("scrubber.pause", None),
        ("watch.readings", [Reading("lag", True, 1.5, 1.0, "late")]),
        ("migrations.candidate", RECIPE),
        ("migrations.plan", MigrationPlan(types={"": 1}, texts=1, sampled=1, tokens=2, embed_s=0.5, disk_bytes=9)),
        ("migrations.status", MIGRATION),
        ("migrations.roll_back", None),
        ("quality.run", {"id": 1, "notes": ["a"], "figures": {"x": None}}),
        ("quality.compare", COMPARISON),
        ("quality.objections", ("too low",)),
        ("reembedding.plan", ReembeddingPlan(records={"": 1}, texts=1, sampled=1, tokens=2, embed_s=0.5)),
        ("reembedding.trigger_reembedding", ReembeddingResult(7, 0.5)),
        ("sync.engine.intake_stage.progress", {"full_scan_due": BackfillProgress(1, 10, 1.5)}),
        (
            "search",
            SearchResults((SearchHit("a", "Person", 0.5, "Ada", "t", "m", {"age": 3, "tags": ["x"]}),), Position(7)),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_results_come_out_as_they_went_in(name: str, result: object) -> None:
    found = _answered(name, result)
    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("verify", (7,)),
        ("repairer.repair", (7, 10)),
        ("sync.drain", (STATUS,)),
        ("migrations.wait", (MIGRATION,)),
        ("cut_over", (7,)),
        ("reembedding.trigger_reembedding", (ReembeddingProgress(1, None, 0.5, None),)),
    ],
)
def test_progress_is_heard_as_it_is_told(name: str, told: tuple[object, ...]) -> None:
    signature = OPERATIONS[name].signature
    data = json.loads(json.dumps(signature.told("on_progress", told)))
    assert tuple(signature.heard("on_progress", data, MemoryAudits())) == told


def test_a_comparison_is_heard_before_the_end() -> None:
    signature = OPERATIONS["cut_over"].signature
    data = json.loads(json.dumps(signature.told("on_comparison", (COMPARISON,))))
    assert signature.heard("on_comparison", data, MemoryAudits()) == [COMPARISON]


# ---------------------------------------------------------------------- audits


def test_a_kept_audit_is_sent_by_its_number_and_loaded() -> None:
    audits, report = MemoryAudits(), _audit()
    report.id = audits.keep(report.summary(), report.findings())
    signature = OPERATIONS["verify"].signature
    data = signature.result_as_data(report)
    assert data == {"kept": report.id}
    found = signature.result(data, audits)
    assert report_as_dict(found) == report_as_dict(report)
    assert (found.consistency, found.strays, found.types) == (report.consistency, report.strays, report.types)
    assert found == kept_report(audits, report.id)
    found.started_s = report.started_s
    assert found == report


def test_an_audit_that_is_not_kept_is_sent_whole() -> None:
    report = _audit()
    found = _answered("migrations.audit", report)
    assert found == report
    assert _answered("migrations.roll_back", report) == report


def test_a_report_as_an_argument_is_known_by_its_number() -> None:
    audits, report = MemoryAudits(), _audit()
    report.id = audits.keep(report.summary(), report.findings())
    signature = OPERATIONS["repair"].signature
    text, _ = signature.arguments_as_json((report,), {})
    found, _ = signature.arguments(text, audits)
    assert found["report"] == report


def test_an_empty_and_a_wholly_divergent_audit_come_back() -> None:
    empty = AuditReport(Position(0))
    broken = AuditReport(Position(1), coverage={"A": TypeCoverage(expected=2)})
    broken.divergences["missing"] = [entity_key("a"), entity_key("b")]
    for report in (empty, broken):
        assert report_as_dict(_answered("migrations.audit", report)) == report_as_dict(report)
    assert set(_answered("migrations.audit", empty).divergences) == set(CLASSES)


def test_an_audit_that_is_gone_is_told() -> None:
    with pytest.raises(NotFoundError, match="audit 7"):
        OPERATIONS["verify"].signature.result({"kept": 7}, MemoryAudits())


# ---------------------------------------------------------------------- refusals


def test_a_function_that_must_answer_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(UnsupportedError, match="veto"):
        OPERATIONS["migrations.cut_over"].signature.arguments_as_json((), {"veto": lambda: ["no"]})
    text, callbacks = OPERATIONS["migrations.cut_over"].signature.arguments_as_json((), {"veto": None})
    assert (json.loads(text), callbacks) == ({"arguments": {}, "callbacks": []}, {})


def test_what_the_call_itself_would_refuse_is_refused() -> None:
    with pytest.raises(TypeError):
        OPERATIONS["verify"].signature.arguments_as_json((), {"depth": 1})
    with pytest.raises(TypeError):
        OPERATIONS["explain"].signature.arguments_as_json((), {})


def test_a_value_of_another_type_is_refused_on_either_side() -> None:
    signature = OPERATIONS["quality.reembed"].signature
    with pytest.raises(InvalidInputError, match="can not be sent"):
        signature.arguments_as_json((), {"keys": [1.5], "reason": "low"})
    with pytest.raises(InvalidInputError, match="can not be understood"):
        signature.arguments(
            json.dumps({"arguments": {"keys": [1.5], "reason": "x"}, "callbacks": []}), MemoryAudits()
        )


def test_an_argument_that_the_owner_does_not_know_is_refused_by_name() -> None:
    text = json.dumps({"arguments": {"depth": 1}, "callbacks": []})
    with pytest.raises(InvalidInputError, match="depth"):
        OPERATIONS["verify"].signature.arguments(text, MemoryAudits())


def test_a_value_is_checked_as_the_owner_would_check_it() -> None:
    text = json.dumps({"arguments": {"settings": {"k": 0}}, "callbacks": []})
    with pytest.raises(InvalidInputError):
        OPERATIONS["quality.run"].signature.arguments(text, MemoryAudits())


def test_numbers_without_a_value_survive() -> None:
    plan = RepairPlan({}, 0, 0, math.inf, 0, 0)
    assert _answered("repairer.plan", plan) == plan


def test_callbacks_are_taken_out_of_the_arguments() -> None:
    told: list[int] = []
    on_progress: Callable[[int], None] = told.append
    text, callbacks = OPERATIONS["verify"].signature.arguments_as_json((on_progress,), {"deep": 1})
    assert json.loads(text) == {"arguments": {"deep": 1}, "callbacks": ["on_progress"]}
    callbacks["on_progress"](7)
    assert told == [7]


class _Options(TypedDict, total=False):
    mode: Literal["fast", "sure"]
    since: datetime | str | None
    after: Position | None


def _asked(text: str, k: int = 10, **options: Unpack[_Options]) -> None: ...


def test_options_told_by_name_are_arguments_like_all_others() -> None:
    signature = Signature(_asked, "asked")
    text, _ = signature.arguments_as_json(("x",), {"k": 5, "mode": "sure", "since": NOW})
    sent = json.loads(text)["arguments"]
    assert sent == {"text": "x", "k": 5, "mode": "sure", "since": "2026-03-04T05:06:07.890123Z"}
    assert signature.decoded(sent, MemoryAudits()) == sent, "a time of a text stays the text that it may be"
    assert signature.decoded({"text": "x"}, MemoryAudits()) == {"text": "x"}, "what is not given is not made up"
    refused: list[dict[str, Any]] = [{"depth": 1}, {"options": {}}]
    for wrong in refused:
        with pytest.raises(TypeError):
            signature.arguments_as_json(("x",), wrong)
    with pytest.raises(InvalidInputError, match=r"^mode: "):
        signature.decoded({"text": "x", "mode": "slow"}, MemoryAudits())
    with pytest.raises(InvalidInputError, match=r"^depth: is not known"):
        signature.decoded({"text": "x", "depth": 1}, MemoryAudits())
