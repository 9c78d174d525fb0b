"""How many keys a background batch takes while live changes flow, or somebody searches."""

from __future__ import annotations

from collections.abc import Callable

from slipstream.engine.settings import SyncSettings
from slipstream.engine.taking import PoliteSizer


def settled(duration_s: Callable[[int], float]) -> int:
    """Return the size that a sizer comes to for batches that take so long."""
    sizer = PoliteSizer(SyncSettings(polite_target_s=0.005))
    sizes = []
    for _ in range(400):
        sizes.append(sizer.size)
        sizer.observe(sizer.size, duration_s(sizer.size))
    return max(sizes[-20:])


def test_a_dear_model_gets_single_texts() -> None:
    assert settled(lambda keys: 0.002 + 0.006 * keys) in (1, 2)


def test_a_cheap_one_gets_as_many_as_fit_the_target() -> None:
    assert 20 <= settled(lambda keys: 0.001 + 0.0001 * keys) <= 60


def test_an_index_whose_every_write_is_dear_gets_many() -> None:
    assert settled(lambda keys: 0.020 + 0.0005 * keys) >= 15


def test_one_slow_start_is_forgotten() -> None:
    sizer = PoliteSizer(SyncSettings(polite_target_s=0.005))
    sizer.observe(1, 3.0)
    for _ in range(100):
        sizer.observe(sizer.size, 0.002 + 0.006 * sizer.size)
    assert sizer.size <= 2


def test_it_never_grows_past_what_it_is_given() -> None:
    sizer = PoliteSizer(SyncSettings(polite_target_s=0.005))
    for _ in range(100):
        sizer.observe(1, 0.001)
    assert sizer.size <= 2
