"""The lease: which process runs the one engine of a PKG."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Lease(Protocol):
    """
    The right to run the engine of a PKG: held by at most one process, and fenced by an epoch that only grows.

    Liveness and safety are two things. A lock of the operating system tells whether the holder lives. What is written
    is decided by the epoch: the store compares it inside each write of an owner, so one that was stopped, lost its
    lease and wakes up writes nothing, whatever it believes. Safe for threads.
    """

    def acquire(self, timeout_s: float) -> bool:
        """
        Wait until the lease is free and take it, under a higher epoch than any before; False when time ran out.

        Without time (0) it tries once. Atomic: of any number of callers one gets it. Nobody is favoured: a waiter
        that came later may be first. Held already by this object, it is True at once and the epoch stays. A holder
        that has not been heard of for long (a stopped process) is replaced. Raises `ConfigError` where nothing can be
        locked, `UnavailableError` when the journal can not be written now; the caller then holds nothing.
        """
        ...

    def renew(self) -> None:
        """
        Be heard of, and make sure that nobody has taken over. An owner does so by itself while it runs.

        Raises `LeaseLostError` when another process has, or when nothing was acquired: stop, and yield to it.
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
        """The number under which it writes; None while it is not held. No two holders ever had the same."""
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
        """Whether what keeps it alive lives: False only for one that is held and that nobody renews any more."""
        ...
