"""How a command writes: by the server of the PKG where one runs, else beside it; and waits until searches find it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipstream.cli.asking import Asked, Here, Owner, answered
from slipstream.cli.context import Context
from slipstream.domain.errors import NotRunningError
from slipstream.domain.positions import Position

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream

_SLICE_S = 1.0
_ASKED_S = 3.0
"""How long a server is asked whether the index has come so far; what takes longer is waited for here, and told of."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of the graph, as `GraphTransaction` calls it; its arguments as JSON tells them."""

    op: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A commit."""

    position: int
    ids: tuple[str | None, ...]
    """For each mutation the id of the relationship that it made, else None."""
    is_searchable: bool

    def as_dict(self) -> dict[str, Any]:
        """Return what programs are told of every write."""
        return {"position": self.position, "searchable": self.is_searchable}


def write(settings: Context, mutations: Sequence[Mutation], *, sync: bool) -> Written:
    """
    Commit mutations together, or none of them; with `sync`, return when the index reflects them.

    The commit has an id of its own. So it is done once, also when a server broke off and it is repeated here.
    """
    event_id = f"command:{uuid.uuid4().hex}"

    def commit(pkg: Asked) -> Written:
        steps = [{"op": step.op, "arguments": dict(step.arguments)} for step in mutations]
        done = pkg.call("pkg.commit", mutations=steps, event_id=event_id)
        return Written(int(done["position"]), tuple(done["ids"]), is_searchable=False)

    def commit_and_wait(owner: Owner) -> Written:
        done = commit(owner)
        return Written(done.position, done.ids, is_searchable=sync and _is_reached_soon(owner, done.position))

    done = answered(settings.directory, commit_and_wait)
    if done is not None and (done.is_searchable or not sync):
        return done
    with settings.opened(run=sync) as slipstream:
        done = done or commit(Here(slipstream))
        if sync:
            _wait(slipstream, done.position)
    return Written(done.position, done.ids, is_searchable=sync)


def _is_reached_soon(owner: Owner, position: int) -> bool:
    waited_s = 0.0
    while waited_s < _ASKED_S:
        if owner.call("sync.wait", position=position, timeout_s=_SLICE_S):
            return True
        waited_s += _SLICE_S
    return False


def _wait(slipstream: Slipstream, position: int) -> None:
    """Wait for as long as it takes; what it waits for is told. Raises what says that it is never reached."""
    while not slipstream.sync.wait(Position(position), _SLICE_S):
        status = slipstream.status()
        if status.halted:
            raise NotRunningError(f"it is in the graph, but the engine has halted: {status.halted}")
