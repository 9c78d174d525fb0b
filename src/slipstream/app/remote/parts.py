"""Parts of the facade whose methods ask the process that runs the engine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from slipstream.app.remote.calling import Caller
from slipstream.app.remote.operations import OPERATIONS
from slipstream.domain.errors import UnsupportedError
from slipstream.engine.maintenance import Chore
from slipstream.ports.audits import AuditStore
from slipstream.ports.digests import TermStore
from slipstream.ports.erasing import Erasing
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal, MessageStore
from slipstream.ports.lease import Lease
from slipstream.ports.requests import CommitWatch, Requests
from slipstream.ports.selfcheck import SelfCheck
from slipstream.ports.words import WordIndex

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePorts:
    """
    The ports of the store that every process of a PKG opens.

    Only the owner of the lease may write, but any process through `guest_…`: what an import leaves.
    """

    index: VectorIndex
    journal: Journal
    letters: DeadLetters
    messages: MessageStore
    audits: AuditStore
    terms: TermStore
    words: WordIndex
    chores: Sequence[Chore]
    guest_journal: Journal
    guest_letters: DeadLetters
    guest_messages: MessageStore
    lease: Lease
    requests: Requests
    watch: Callable[[], CommitWatch]
    selfcheck: SelfCheck
    erasing: Erasing
    close: Callable[[], None]


class RemotePart:
    """
    Stands in for one part of the facade: asks the owner for what the table of operations has.

    Some names are answered by an object of this process. Any other is refused, with its name.
    """

    def __init__(self, caller: Caller, path: str, own: object = None, names: Collection[str] = ()) -> None:
        self._caller, self._path, self._own, self._names = caller, path, own, frozenset(names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._names:
            return getattr(self._own, name)
        path = f"{self._path}.{name}"
        operation = OPERATIONS.get(path)
        if operation is not None:
            return self._caller.call(path) if operation.is_value else partial(self._caller.call, path)
        if any(known.startswith(f"{path}.") for known in OPERATIONS):
            return RemotePart(self._caller, path)
        raise UnsupportedError(
            f"{path} is for the process that runs the engine alone: another one does that right now. Do it there, or "
            "when that process has ended"
        )


def remote_part(kind: type[T], caller: Caller, path: str, own: object = None, names: Collection[str] = ()) -> T:
    """Return what stands in for a part of the facade, as that part; `own` has what is answered here."""
    del kind
    return cast("T", RemotePart(caller, path, own, names))
