"""A record whose extraction confidence rose is embedded anew, once; counted at the embedder."""

from __future__ import annotations

import pytest

from slipstream.adapters.embedders.memory_cache import MemoryEmbeddingCache
from slipstream.domain.errors import InvalidInputError
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem


def _system(gain: float | None = 0.1, before: float | None = 0.5) -> MemorySystem:
    system = MemorySystem(settings=SyncSettings(reembed_confidence_gain=gain), cache=MemoryEmbeddingCache())
    system.graph.create_entity("Person", "ada", {"name": "Ada", "extraction_confidence": before})
    system.settle()
    system.embedder.reset()
    return system


def _raise_to(system: MemorySystem, confidence: float) -> None:
    system.graph.update_entity("ada", {"extraction_confidence": confidence})
    system.settle()


def test_a_rise_beyond_the_bound_embeds_exactly_once_past_the_cache() -> None:
    system = _system()
    _raise_to(system, 0.9)
    assert system.embedder.embedded == ["Ada"]
    stamp = system.stamp("ada")
    assert stamp is not None
    assert stamp.extraction_confidence == 0.9
    assert stamp.reembedding_reason == "extraction confidence rose from 0.5 to 0.9"
    assert not stamp.needs_reembedding
    assert system.audit().is_consistent


def test_it_does_not_loop() -> None:
    system = _system()
    _raise_to(system, 0.9)
    system.sync.mark([stamp.key for stamp in system.index.scan(None, 10)], reason="look again")
    system.settle()
    system.reopen()
    system.settle()
    assert system.embedder.embedded == ["Ada"]


@pytest.mark.parametrize("confidence", [0.55, 0.6, 0.2])
def test_up_to_the_bound_and_downwards_only_the_stamp_moves(confidence: float) -> None:
    system = _system()
    _raise_to(system, confidence)
    assert system.embedder.embedded == []
    stamp = system.stamp("ada")
    assert stamp is not None
    assert (stamp.extraction_confidence, stamp.reembedding_reason) == (confidence, None)


STEPS = [round(0.1 + 0.09 * n, 2) for n in range(1, 10)]


def test_a_rise_in_small_steps_is_one_rise() -> None:
    system = _system(before=0.1)
    reasons = []
    for confidence in STEPS:
        _raise_to(system, confidence)
        stamp = system.stamp("ada")
        assert stamp is not None
        assert stamp.extraction_confidence == confidence
        reasons.append(stamp.reembedding_reason)
    assert len(system.embedder.embedded) == 4, "0.28, 0.46, 0.64 and 0.82: 0.18 each above where it was embedded last"
    assert reasons[1] == reasons[2] == "extraction confidence rose from 0.1 to 0.28"
    assert system.audit().is_consistent


def test_a_fall_and_a_rise_in_one_step_is_a_rise() -> None:
    system = _system()
    for confidence in (0.1, 0.15, 0.45):
        _raise_to(system, confidence)
    assert system.embedder.embedded == ["Ada"]
    stamp = system.stamp("ada")
    assert stamp is not None
    assert stamp.reembedding_reason == "extraction confidence rose from 0.15 to 0.45"


def test_what_an_older_version_stamped_is_where_a_rise_begins() -> None:
    system = _system()
    stamp = system.stamp("ada")
    assert stamp is not None
    assert stamp.embedded_confidence == 0.5
    system.index.restamp([stamp._replace(embedded_confidence=None)])
    for confidence in (0.55, 0.6):
        _raise_to(system, confidence)
    assert system.embedder.embedded == []
    _raise_to(system, 0.65)
    assert system.embedder.embedded == ["Ada"]


def test_a_confidence_that_was_learnt_later_is_where_a_rise_begins() -> None:
    system = _system(before=None)
    for confidence in (0.2, 0.25, 0.3):
        _raise_to(system, confidence)
    assert system.embedder.embedded == []
    _raise_to(system, 0.35)
    assert system.embedder.embedded == ["Ada"]


@pytest.mark.parametrize("gain", [None, 1.0])
def test_it_can_be_switched_off(gain: float | None) -> None:
    system = _system(gain, before=0.0)
    _raise_to(system, 1.0)
    assert system.embedder.embedded == []


def test_a_confidence_that_was_not_known_has_not_risen() -> None:
    system = _system(before=None)
    _raise_to(system, 0.9)
    assert system.embedder.embedded == []


def test_a_bound_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError) as refused:
        SyncSettings(reembed_confidence_gain=1.5)
    assert refused.value.field == "quality.reembed_confidence_gain"
