"""Alerts, and where they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, Self, runtime_checkable

from slipstream.domain.errors import InvalidInputError

AlertState = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """
    One turn of one rule: it began to fire, or it resolved.

    `value` is what was measured and `threshold` the limit it is held against. `since` is when the rule began to fire
    (the same in the event that resolves it), `at` when this event happened.
    """

    rule: str
    state: AlertState
    message: str
    value: float
    threshold: float
    since: datetime
    at: datetime

    def __post_init__(self) -> None:
        if self.state not in ("firing", "resolved"):
            raise InvalidInputError(f'is {self.state!r}, must be "firing" or "resolved"', field="state")
        for name in ("since", "at"):
            if getattr(self, name).utcoffset() is None:
                raise InvalidInputError("must be an aware datetime: give it a time zone", field=name)

    @property
    def incident(self) -> str:
        """What the firing event and the one that resolves it have in common, and no others."""
        return f"{self.rule}@{self.since.isoformat()}"

    @property
    def id(self) -> str:
        """The event's own name: a receiver that has seen it may drop the repetition."""
        return f"{self.incident}/{self.state}"

    def as_dict(self) -> dict[str, Any]:
        """Return the event as plain data, ready for JSON."""
        return {
            "rule": self.rule,
            "state": self.state,
            "message": self.message,
            "value": self.value,
            "threshold": self.threshold,
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the event that `as_dict` gave; raises `InvalidInputError` for anything else."""
        try:
            return cls(
                rule=str(data["rule"]),
                state=data["state"],
                message=str(data["message"]),
                value=float(data["value"]),
                threshold=float(data["threshold"]),
                since=datetime.fromisoformat(data["since"]),
                at=datetime.fromisoformat(data["at"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f"is no alert event ({error})", field="alert") from error


@runtime_checkable
class AlertSink(Protocol):
    """
    Somewhere that people or machines look.

    Events of one rule arrive in their order, each at least once: after a failure or a restart an event may come
    again, with the same `id`. A call returns within a few seconds, whatever the other side does.
    """

    def notify(self, event: AlertEvent) -> None:
        """
        Hand the event over; returning means that it has arrived.

        Raises `TransientError` when it could not be delivered now, `ConfigError` when it can not be delivered
        before somebody changes the configuration. Either way the event is offered again.
        """
        ...


class AlertMemory(Protocol):
    """
    Where the state of the alerts outlives the process: a `Journal`, or better a store that works when that does not.

    The caller remembers what can not be kept now, and tries again.
    """

    def get(self, name: str) -> str | None:
        """Return what was set last, None when nothing was; raises `UnavailableError` when it can not be read now."""
        ...

    def set(self, name: str, value: str | None) -> None:
        """
        Keep a text durably, whole or not at all; one that is set twice leaves no byte of those before.

        Raises `UnavailableError` when it can not be kept now, `LeaseLostError` when another process keeps it now.
        """
        ...
