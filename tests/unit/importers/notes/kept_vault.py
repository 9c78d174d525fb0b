"""A vault, and a graph in memory that is kept equal to it."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.entities import EntityState
from slipstream.domain.keys import KeyKind
from slipstream.importers.notes.keeping import Kept, VaultKeeper
from slipstream.testkit.clock import ManualClock
from tests.unit.importers.notes.vaults import write_vault

USUAL = BrakeSettings()


class KeptVault:
    """A vault, and a graph that is kept equal to it."""

    def __init__(self, folder: Path, brake: BrakeSettings = USUAL) -> None:
        graph = MemoryGraph(ManualClock())
        self.pkg = PKG(
            GraphPorts(
                reader=graph, writer=graph, feed=graph.feed, marks=graph, sync_view=graph.sync_view, close=graph.close
            )
        )
        self.folder, self._brake = folder.resolve(), brake
        folder.mkdir(exist_ok=True)
        self.keeper = self.opened()

    def opened(self, *, confirm: str | None = None) -> VaultKeeper:
        """Return a keeper as a new process has it."""
        return VaultKeeper(self.folder, self.pkg, brake=self._brake, confirm=confirm)

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
