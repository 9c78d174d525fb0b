"""What a fingerprint depends on, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from slipstream.domain.models import ModelSpec
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding.fingerprint import cache_key, canonical_context, fingerprint

SPEC = ModelSpec("model", "1", 8)
MOMENT = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)
BASE: dict[str, Any] = {
    "text": "a text",
    "temporal_context": TemporalEmbeddingContext(timestamp=MOMENT),
    "spec": SPEC,
    "fusion_rule": "fusion/1:0.6,0.3,0.1",
}


@pytest.mark.parametrize(
    "change",
    [
        {"text": "another text"},
        {"temporal_context": TemporalEmbeddingContext(timestamp=MOMENT + timedelta(days=1))},
        {"temporal_context": None},
        {"spec": replace(SPEC, id="other")},
        {"spec": replace(SPEC, version="2")},
        {"spec": replace(SPEC, dimension=16)},
        {"fusion_rule": "fusion/1:0.5,0.3,0.2"},
        {"fusion_rule": ""},
    ],
)
def test_each_part_decides(change: dict[str, Any]) -> None:
    assert fingerprint(**(BASE | change)) != fingerprint(**BASE)


def test_limits_of_a_model_do_not_decide() -> None:
    spec = replace(SPEC, tolerance=0.001, cacheable=False, counts_tokens=False)
    assert fingerprint(**(BASE | {"spec": spec})) == fingerprint(**BASE)


def test_parts_do_not_run_together() -> None:
    plain = BASE | {"fusion_rule": "", "temporal_context": None}
    one = fingerprint(**(plain | {"text": "a", "spec": replace(SPEC, id="bc")}))
    assert one != fingerprint(**(plain | {"text": "ab", "spec": replace(SPEC, id="c")}))
    assert one != fingerprint(**(plain | {"text": "a", "spec": replace(SPEC, id="b", version="c1")}))


def test_without_fusion_the_context_does_not_decide() -> None:
    without = BASE | {"fusion_rule": "", "temporal_context": None}
    assert fingerprint(**(BASE | {"fusion_rule": ""})) == fingerprint(**without)


def test_it_is_the_same_in_every_release() -> None:
    """A changed digest would re-embed every index in the world: change it on purpose or not at all."""
    assert fingerprint(**BASE) == "066a178280ed292d4464c77b7090cde7"
    assert cache_key(SPEC, "a text") == "942edf349e75b9a3b5375aa26cfcb0d8"


def test_zones_and_defaults_are_canonical() -> None:
    zoned = TemporalEmbeddingContext(timestamp=MOMENT.astimezone(timezone(timedelta(hours=5))), causal_chain=())
    assert canonical_context(zoned) == canonical_context(TemporalEmbeddingContext(timestamp=MOMENT))
    assert canonical_context(None) == canonical_context(TemporalEmbeddingContext()).strip("{}") == ""


def test_a_lone_surrogate_has_a_fingerprint() -> None:
    assert fingerprint(**(BASE | {"text": "\ud800"})) != fingerprint(**(BASE | {"text": "\ud801"}))
