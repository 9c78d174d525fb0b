"""A vault, and a graph in memory that is kept equal to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.entities import Adjacency, EntityPage, EntityState
from slipstream.domain.keys import KeyKind
from slipstream.domain.schema import GraphSchema
from slipstream.importers.notes.keeping import Kept, VaultKeeper
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.clock import ManualClock
from tests.unit.importers.notes.vaults import write_vault

USUAL = BrakeSettings()
BEFORE, IN, BEHIND = "before", "in", "behind"


class Breakable:
    """A graph one of whose transactions can fail: before it begins, before it commits, or behind that."""

    def __init__(self, pkg: PKG) -> None:
        self._pkg = pkg
        self.transactions = 0
        """How many there were."""
        self._error: BaseException = Exception()
        self._place = (0, BEFORE)

    def break_at(self, number: int, when: str, error: BaseException) -> None:
        """Have the transaction of that number, counted from now on, raise an error."""
        self._place, self._error = (self.transactions + number, when), error

    def mend(self) -> None:
        """Have no transaction fail from now on."""
        self._place = (0, BEFORE)

    @contextmanager
    def transaction(self) -> Iterator[GraphTransaction]:
        """Open a write transaction."""
        self.transactions += 1
        number = self.transactions
        self._reach(number, BEFORE)
        with self._pkg.transaction() as tx:
            yield tx
            self._reach(number, IN)
        self._reach(number, BEHIND)

    def _reach(self, number: int, when: str) -> None:
        if (number, when) == self._place:
            raise self._error

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        return self._pkg.schema()

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return the next entities of a type."""
        return self._pkg.of_type(entity_type, after, limit)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        return self._pkg.adjacent(entity_ids, hop_types, after, limit)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        return self._pkg.nearby(entity_ids, limit)


class KeptVault:
    """A vault, and a graph that is kept equal to it."""

    def __init__(self, folder: Path, brake: BrakeSettings = USUAL) -> None:
        graph = MemoryGraph(ManualClock())
        self.pkg = PKG(
            GraphPorts(
                reader=graph, writer=graph, feed=graph.feed, marks=graph, sync_view=graph.sync_view, close=graph.close
            )
        )
        self.graph = Breakable(self.pkg)
        self.folder, self._brake = folder.resolve(), brake
        folder.mkdir(exist_ok=True)
        self.keeper = self.opened()

    def opened(self, *, confirm: str | None = None) -> VaultKeeper:
        """Return a keeper as a new process has it."""
        return VaultKeeper(self.folder, self.graph, brake=self._brake, confirm=confirm)

    def write(self, path: str, text: str | bytes) -> None:
        """Write a note and have it taken in."""
        write_vault(self.folder, {path: text})
        self.take(path)

    def take(self, *paths: str) -> Kept:
        """Have paths taken in that were touched."""
        return self.keeper.take([self.folder / path for path in paths])

    def entities(self) -> dict[str, dict[str, object]]:
        """Return the properties of all entities, by id."""
        keys = [row.key for row in self.pkg.scan(None, 10_000) if row.key.kind is KeyKind.ENTITY]
        states = self.pkg.read(keys, {}).states.values()
        return {state.entity.id: dict(state.entity.properties) for state in states if isinstance(state, EntityState)}

    def relationships(self) -> set[str]:
        """Return the ids of all relationships."""
        return {row.key.id for row in self.pkg.scan(None, 10_000) if row.key.kind is KeyKind.RELATIONSHIP}

    def is_settled(self) -> bool:
        """Whether comparing everything anew, in a new process, changes nothing."""
        head = self.pkg.read([], {}).position
        self.opened().catch_up()
        return bool(self.pkg.read([], {}).position == head)
