"""What word rows should be, rendered from the simulated graph, and whether they and their frontier are so."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipstream.domain.journal_names import WORDS_FRONTIER
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.testkit.system import MemorySystem

_ALL = 10_000


class SimulationError(AssertionError):
    """A safety or convergence property was violated; the message holds the seed."""


@dataclass(slots=True)
class WordRowsTruth:
    """Knows the digest of each row that there should be, and when it changed."""

    wanted: dict[RecordKey, bytes] = field(default_factory=dict)
    changed_at: dict[RecordKey, Position] = field(default_factory=dict)
    frontier: Position = ORIGIN

    def reopened(self) -> None:
        """Forget how far the last process was."""
        self.frontier = ORIGIN

    def note_changes(self, system: MemorySystem) -> None:
        """Note which rows should be others since the last call."""
        now, head = rendered(system), system.graph.feed.head()
        for key in now.keys() | self.wanted.keys():
            if now.get(key) != self.wanted.get(key):
                self.changed_at[key] = head
        self.wanted = now

    def note_restored(self, system: MemorySystem) -> None:
        """Note that all rows are only looked at by the rescan, which stands at the new head."""
        left = [stamp.key for stamp in system.words.scan(None, _ALL)]
        self.changed_at.update(dict.fromkeys([*self.wanted, *left], system.graph.feed.head()))

    def check_safety(self, system: MemorySystem) -> None:
        """Raise unless all that the frontier covers is in the rows as the graph has it."""
        frontier = system.follower.frontier
        if frontier < self.frontier:
            raise SimulationError(f"the words' frontier went back from {self.frontier} to {frontier}")
        self.frontier = frontier
        told = max(frontier, Position(int(system.journal.get(WORDS_FRONTIER) or 0)))  # also to other processes
        held = system.words.stamps(list(self.changed_at))
        for key, changed_at in self.changed_at.items():
            found = held[key].digest if key in held else None
            if changed_at <= told and found != self.wanted.get(key):
                raise SimulationError(f"the word row of {key} changed at {changed_at}, frontier {told}: it is not so")

    def check_convergence(self, system: MemorySystem) -> None:
        """Raise unless every row is as the graph says, and there is no other."""
        if system.follower.frontier != system.graph.feed.head():
            raise SimulationError(f"settled, but the words' frontier is at {system.follower.frontier}")
        self.note_changes(system)
        found = {stamp.key: stamp.digest for stamp in system.words.scan(None, _ALL)}
        if found != self.wanted:
            keys = found.keys() | self.wanted.keys()
            wrong = sorted(key.encode() for key in keys if found.get(key) != self.wanted.get(key))
            raise SimulationError(f"word rows that are not as the graph says: {wrong}")


def rendered(system: MemorySystem) -> dict[RecordKey, bytes]:
    """Return the digest of each row that the graph asks for now."""
    keys = [row.key for row in system.graph.scan(None, _ALL)]
    snapshot, writer = system.graph.read(keys, {}), system.follower.writer
    rows = {key: writer.views.row(key, state, snapshot.position) for key, state in snapshot.states.items()}
    return {key: row.digest for key, row in rows.items() if row is not None}
