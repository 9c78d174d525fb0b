"""A seeded run over the remote database: one client writes, reads and follows the log while another one writes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from slipstream.domain.entities import EntityState, Hop
from slipstream.domain.errors import UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import entity_key
from slipstream.domain.log import LogEntry, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.remote import RemoteDatabase, RemoteGraph, Trouble

NAMES = ("a", "b", "c", "d")
_STEPS = 60


@dataclass
class Looked:
    """What one read was told: its position, and the numbers of what it saw (None for what was not there)."""

    position: Position
    numbers: Mapping[str, int | None]


@dataclass
class Run:
    """Everything that one client was told, in order."""

    database: RemoteDatabase
    followed: list[LogEntry] = field(default_factory=list)
    looks: list[Looked] = field(default_factory=list)
    commits: list[Position] = field(default_factory=list)
    holes: int = 0
    """How often a row was there already that the client may not show yet."""
    trouble: int = 0

    @property
    def newest(self) -> Position:
        """Return the newest position that is visible, to whoever passes holes."""
        return max(self.database.store.rows, default=ORIGIN)

    def logged(self, through: Position) -> list[PKGEvent]:
        """Return the events of the log up to a position, as it is in the end."""
        rows = sorted(self.database.store.rows.items())
        return [row.entry for at, row in rows if at <= through and isinstance(row.entry, PKGEvent)]

    @property
    def trace(self) -> list[Any]:
        """Return all of it, to compare two runs."""
        told = [(position_of(entry), getattr(entry, "entity_id", "")) for entry in self.followed]
        return [told, self.looks, self.commits, self.holes, self.trouble]

    def problems(self) -> list[str]:
        """Return what the ports forbid and this client was told all the same."""
        log = [row.entry for _, row in sorted(self.database.store.rows.items())]
        found = [] if self.followed == log else [f"followed {len(self.followed)} of {len(log)} entries"]
        return found + [problem for look in self.looks for problem in self._older(look)]

    def newer(self) -> int:
        """Return how many states were newer than their position."""
        return sum(
            (number or 0) > logged.get(name, 0)
            for look in self.looks
            for logged in [self._numbers(look.position)]
            for name, number in look.numbers.items()
        )

    def _older(self, look: Looked) -> list[str]:
        """Return what a read gave that is older than its position: the numbers only ever grow."""
        return [
            f"{name} was {look.numbers.get(name)} at {look.position}, where it is {number}"
            for name, number in self._numbers(look.position).items()
            if (look.numbers.get(name) or 0) < number
        ]

    def _numbers(self, position: Position) -> dict[str, int]:
        """Return the number of everything at a position, as the log tells it."""
        return {e.entity_id: e.new_data["n"] for e in self.logged(position) if e.new_data and "n" in e.new_data}


def run(seed: int, trouble: Trouble, kind: type[RemoteGraph] = RemoteGraph) -> Run:
    """Do what the seed says."""
    clock, chance = ManualClock(), random.Random(seed)
    database = RemoteDatabase(clock, seed)
    client = kind(database, clock, trouble)
    numbers = iter(range(1, 1_000_000))

    def write(tx: GraphTransaction) -> None:
        names = chance.sample(NAMES, 3)
        for name in names:
            tx.upsert_entity("Person", name, {"n": next(numbers)})
        for source, target in pairwise(names):
            tx.relate(source, "K", target, {"n": next(numbers)}, replace=True)

    done = Run(database)
    database.second_writer = write
    for _ in range(_STEPS):
        try:
            _step(client, done, chance, write)
        except UnavailableError:
            done.trouble += 1
        newest = done.newest
        done.holes += len(database.store.rows) < newest  # nothing is trimmed here, so every number counts
    database.second_writer = None
    database.settle()
    _follow(client, done)
    return done


def _step(client: RemoteGraph, done: Run, chance: random.Random, write: Any) -> None:
    match chance.randrange(4):
        case 0:
            with client.transaction() as tx:
                write(tx)
            done.commits.append(tx.position)
        case 1:
            page = client.feed.read(position_of(done.followed[-1]) if done.followed else ORIGIN, 50)
            done.followed += page
        case _:
            done.looks.append(_look(client))


def _look(client: RemoteGraph) -> Looked:
    seen = client.read([entity_key(name) for name in NAMES], {"Person": [Hop("K")]})
    numbers: dict[str, int | None] = {}
    for name in NAMES:
        found = seen.states.get(entity_key(name))
        assert found is None or isinstance(found, EntityState)
        numbers[name] = None if found is None else found.entity.properties["n"]  # type: ignore[assignment]
        for neighbour in [] if found is None else found.neighbours[Hop("K")]:
            number = neighbour.relationship.properties["n"]
            numbers[neighbour.relationship.ref.id] = number  # type: ignore[assignment]
    return Looked(seen.position, numbers)


def _follow(client: RemoteGraph, done: Run) -> None:
    """Read the rest of the log, however bad the line is."""
    for _ in range(10_000):
        try:
            page = client.feed.read(position_of(done.followed[-1]) if done.followed else ORIGIN, 5)
        except UnavailableError:
            continue
        if not page:
            return
        done.followed += page
