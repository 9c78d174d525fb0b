"""
Outages of models: each model has a breaker of its own, and its keys are held, so that nothing else waits for it.

A key is held when its model is known to be down or busy. It stays dirty, loses no attempt, and holds the frontier
back, but it is not claimed. When the model is to be tried again one key goes ahead; when that went well, the rest.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypeGuard

from slipstream.apply.reconciler import Prepared
from slipstream.domain.errors import ConfigError, SlipstreamError, TransientError
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import Target
from slipstream.domain.work import Claim, Lane
from slipstream.engine.failures import CircuitBreaker
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import EngineState
from slipstream.ports.clock import Clock

logger = logging.getLogger(__name__)

_PROBE_S = 60.0
"""How long a key that tries a model out keeps the others back at most: the key may be lost on its way."""
_QUICK_S = 0.5
"""A model that took longer for its last batch is not called on the reader's thread, where all would wait for it."""


class Outages:
    """Which models are down, and which keys wait for them. Guarded by the engine's lock, which callers hold."""

    def __init__(self, settings: SyncSettings, state: EngineState, clock: Clock, rng: random.Random) -> None:
        self._settings, self._state, self._clock, self._rng = settings, state, clock, rng
        self._breakers: dict[str, CircuitBreaker] = {}
        self._lasting: dict[str, ConfigError] = {}
        self._took_s: dict[str, float] = {}
        self._probed: set[str] = set()
        """Models that are down, and that a key is trying out."""

    # ------------------------------------------------------------------ what happens to models

    def trip(self, model_id: str, error: Exception) -> None:
        """Ask nothing of a model for a while."""
        settings = self._settings
        breaker = self._breakers.setdefault(
            model_id, CircuitBreaker(settings.backoff_base_s, settings.backoff_max_s, self._rng)
        )
        breaker.trip(error, self._clock.monotonic())
        self._probed.discard(model_id)
        self._lasting.pop(model_id, None)
        if isinstance(error, ConfigError):
            self._lasting[model_id] = error

    def note_done(self, models: Collection[str], took_s: float) -> None:
        """Note models that have answered; what was held for them goes on."""
        for model_id in models:
            self._took_s[model_id] = took_s
            self._probed.discard(model_id)
            if self._breakers.pop(model_id, None) is not None:
                self._lasting.pop(model_id, None)
                self._state.has_put_by = False
                self._state.ledger.free(model_id)
                self._state.changed.notify_all()

    def note_untried(self, models: Collection[str]) -> None:
        """Let the next key try these models out: the key that went ahead did not call them after all."""
        for model_id in self._probed.intersection(models):
            self._probed.discard(model_id)
            self._breakers[model_id].open_until = self._clock.monotonic()

    def try_again(self) -> None:
        """Ask models that were set up wrongly again at once: somebody waits, and may have mended them."""
        now = self._clock.monotonic()
        for model_id in self._lasting:
            self._breakers[model_id].open_until = now
        self._lasting.clear()
        self._state.changed.notify_all()

    def forget(self) -> None:
        """Note that nothing waits for any model any more, whichever was down."""
        self._breakers.clear()
        self._lasting.clear()
        self._probed.clear()
        self._state.has_put_by = False

    # ------------------------------------------------------------------ what happens to keys

    def hold_up(self, claims: Sequence[Claim], error: SlipstreamError) -> None:
        """Give back a batch whose model has failed; its keys that do not need the model go on. Takes the lock."""
        model_id, state = str(error.model_id), self._state
        with state.changed:
            self.trip(model_id, error)
            state.ledger.release(claims)
            if isinstance(error, TransientError):
                state.stats.note_retry(error)
            state.changed.notify_all()
            is_new = self._breakers[model_id].failures == 1
        logger.log(
            logging.WARNING if is_new else logging.DEBUG,
            "what model %r embeds waits for it, all else goes on: %s: %s",
            model_id,
            type(error).__name__,
            error,
        )

    def set_aside(self, claims: Sequence[Claim], prepared: Prepared) -> None:
        """Hold the claims whose models are down, and take what is planned for them out of the batch."""
        for error in prepared.unmade.values():
            if self._admits(str(error.model_id)):
                self.trip(str(error.model_id), error)
        if not self._breakers:
            return
        needed: dict[object, set[str]] = {key: {str(error.model_id)} for key, error in prepared.unmade.items()}
        for target in prepared.targets:
            needed.setdefault(target.key, set()).add(target.space.model_id)
        down: dict[str, list[Claim]] = {}
        for claim in claims:
            missing = next((model for model in needed.get(claim.key, ()) if not self._admits(model)), None)
            if missing is not None:
                down.setdefault(missing, []).append(claim)
        for model_id, some in down.items():
            self.hold(model_id, some)
            prepared.leave_out({claim.key for claim in some})

    def note_room(self, model_id: str) -> None:
        """Let some of the keys go on that wait for a model that is only busy."""
        if model_id not in self._breakers:
            self._state.ledger.free(model_id, 4 * self._settings.batch_min)

    def hold(self, model_id: str, claims: Sequence[Claim]) -> None:
        """Have claims wait for a model."""
        for claim in claims:
            self._state.ledger.hold(claim, model_id)
        self._state.changed.notify_all()  # who waits for other models only may go on now

    @property
    def has_others(self) -> bool:
        """Whether a model is down while another one answers."""
        return bool(self._breakers and self._took_s.keys() - self._breakers.keys())

    def _admits(self, model_id: str) -> bool:
        """Whether a key that needs a model may go ahead; when a model that is down is to be tried, one key may."""
        breaker = self._breakers.get(model_id)
        if breaker is None:
            return True
        now = self._clock.monotonic()
        if breaker.wait_s(now) > 0:
            return False
        breaker.open_until = now + _PROBE_S
        self._probed.add(model_id)
        return True

    def free_due(self) -> None:
        """Let one key of each model that is to be tried again go ahead."""
        now, held = self._clock.monotonic(), self._state.ledger.held()
        for model_id, breaker in self._breakers.items():
            if breaker.wait_s(now) > 0:
                continue
            if held.get(model_id):
                self._state.ledger.free(model_id, 1)
            else:
                self._state.has_put_by = False  # keys that wait for it, if any, are in the journal only

    # ------------------------------------------------------------------ asking

    @property
    def breakers(self) -> Collection[CircuitBreaker]:
        """The breakers of the models that are down."""
        return self._breakers.values()

    @property
    def down(self) -> Mapping[str, str]:
        """The models that are down, and why."""
        return {model_id: breaker.error or "" for model_id, breaker in self._breakers.items()}

    @property
    def told(self) -> str | None:
        """The models that are down, each with its error and how many keys wait, for people; None when all are up."""
        held = self._state.ledger.held()
        said = [f"{error} ({held.get(model_id, 0):,} keys wait for it)" for model_id, error in self.down.items()]
        return "; ".join(said) or None

    @property
    def refusal(self) -> ConfigError | None:
        """Why nothing goes on until a person acts: all dirty keys need models that are set up wrongly. Else None."""
        held = self._state.ledger.held()
        if not self._lasting:
            return None
        dirty = len(self._state.ledger) - self._state.ledger.counts()[Lane.MIGRATION]
        is_more = self._state.backlog.has_more and not self._state.has_put_by
        if sum(held[model] for model in held if model in self._lasting) < dirty or is_more:
            return None
        return next(iter(self._lasting.values()))

    def is_quick(self, models: Iterable[str]) -> bool:
        """Whether no other model has to wait long for these: each answered quickly the last time, or is alone."""
        known = self._took_s.keys() | self._breakers.keys()
        return all(
            not (known - {model}) or (self._took_s.get(model, _QUICK_S) < _QUICK_S and model not in self._breakers)
            for model in models
        )

    def wait_s(self) -> float | None:
        """Return how long until a model is to be tried again; None when nothing waits for one."""
        now, held, put_by = self._clock.monotonic(), self._state.ledger.held(), self._state.has_put_by
        waiting = [breaker for model_id, breaker in self._breakers.items() if held.get(model_id) or put_by]
        return min((breaker.wait_s(now) for breaker in waiting), default=None)


def is_of_model(error: Exception) -> TypeGuard[SlipstreamError]:
    """Whether an error says that a model can not work, now or as it is set up: not that of a text, or of a store."""
    return isinstance(error, TransientError | ConfigError) and error.model_id is not None


def models_of(targets: Iterable[Target]) -> frozenset[str]:
    """Return the models that targets are embedded with."""
    return frozenset(target.space.model_id for target in targets)


def by_models(claims: Sequence[Claim], prepared: Prepared) -> list[tuple[frozenset[str], Sequence[Claim], Prepared]]:
    """Divide a batch by the models that its keys need; one that needs a single model stays as it is."""
    if not claims:
        return []
    needed = models_of(prepared.targets)
    if len(needed) < 2:
        return [(needed, claims, prepared)]
    models: dict[RecordKey, frozenset[str]] = {}
    for target in prepared.targets:
        models[target.key] = models.get(target.key, frozenset()) | {target.space.model_id}
    parts: dict[frozenset[str], list[Claim]] = {}
    for claim in claims:
        parts.setdefault(models.get(claim.key, frozenset()), []).append(claim)
    return [(some, part, prepared.part({claim.key for claim in part})) for some, part in parts.items()]
