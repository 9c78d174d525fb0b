"""The lease: which process runs the one engine of a PKG."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Lease(Protocol):
    """
    The right to run the engine of a PKG: held by at most one process, and fenced by an epoch that only grows.

    Liveness and safety are two things. A lock of the operating system tells whether the holder lives. The epoch
    decides who may write: the store compares it inside each write of an owner, so an owner that was stopped and has
    lost its lease meanwhile writes nothing when it wakes up, whatever it believes. Safe for threads.
    """

    def acquire(self, timeout_s: float) -> bool:
        """
        Wait until the lease is free and take it, under a higher epoch than any before; False when time ran out.

        With `timeout_s` 0 it tries once. Atomic: of any number of callers one gets it. Nobody is favoured: a waiter
        that came later may be first. True at once, with the same epoch, when this object holds it already. A holder
        that has not been heard of for long (a stopped process) is replaced. Raises `ConfigError` where nothing can be
        locked, `UnavailableError` when the journal can not be written now; the caller then holds nothing.
        """
        ...

    def renew(self) -> None:
        """
        Show that the holder lives, and check that nobody has taken over. An owner does so by itself while it runs.

        Raises `LeaseLostError` when another process has taken over, or nothing was acquired: stop, and yield to it.
        """
        ...

    def release(self) -> None:
        """
        Let the next one in; from then on this object's store refuses to write. Harmless when it is not held.

        A lease that somebody else has taken over is left alone. Dying releases as well.
        """
        ...

    @property
    def epoch(self) -> int | None:
        """The number under which the holder writes; None while not held. No two holders ever had the same."""
        ...

    @property
    def held(self) -> bool:
        """
        Whether it is held as far as this process knows: as of the last write, `renew` or beat.

        False is final until the next `acquire`; True may be outdated, so nothing may be decided by it but waiting.
        """
        ...

    @property
    def is_renewed(self) -> bool:
        """Whether the lease is being renewed while it is held; True also while it is not held."""
        ...
