"""A graph with word rows to be damaged: what the tampering suite of word rows audits and repairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from slipstream.apply.words import WordWriter
from slipstream.audit.auditor import AuditMemory, Auditor
from slipstream.audit.changes import LoggedChanges, LoggedRecords
from slipstream.audit.findings import AuditReport
from slipstream.audit.repair import Repairer
from slipstream.audit.words_comparing import AuditedWords, Reflects
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.keys import RecordKey
from slipstream.engine.planner import Planner
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordRows
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.words import WordViews

VIEWS = (View("Person", "{{ name }}"), View("KNOWS", "{{ source.name }}", is_relationship=True))
PERSONS = 60
ROWS = 90
"""One for each person, and one for each relationship between two of them."""
_MANY = 10_000


def populated() -> MemorySystem:
    """Return a graph of persons, every second of whom knows the next, with its vectors."""
    system = MemorySystem(views=VIEWS)
    with system.graph.transaction() as transaction:
        for number in range(PERSONS):
            transaction.create_entity("Person", f"p{number:02}", {"name": f"person {number}", "of": "Basel"})
        for number in range(0, PERSONS, 2):
            transaction.relate(f"p{number:02}", "KNOWS", f"p{number + 1:02}", {"since": f"{2000 + number}"})
    system.settle()
    return system


@dataclass
class WordsWorld:
    """
    A graph in memory, its word rows in `words`, and what audits and repairs them.

    Nothing writes rows but `follow` and repairs. Without `reflects` there is nobody to wait for.
    """

    words: WordRows
    journal: Journal
    system: MemorySystem = field(default_factory=populated)
    views: Sequence[View] = VIEWS
    brake: BrakeSettings = field(default_factory=BrakeSettings)
    reflects: Reflects | None = None

    def __post_init__(self) -> None:
        system, graph = self.system, self.system.graph
        self.writer = WordWriter(graph, self.words, self.journal, WordViews(self.views))
        self.auditor = Auditor(
            graph,
            system.index,
            system.engine.recipe,
            system.clock,
            memory=AuditMemory(
                leaves=system.audits,
                audits=system.audits,
                journal=system.journal,
                changes=LoggedChanges(graph.feed, Planner(graph, system.engine.recipes, 100)),
                recipe_id=lambda: "recipe",
            ),
            service=system.service,
            words=AuditedWords(
                rows=self.words,
                views=self.writer.views,
                reflects=self.reflects,
                changes=LoggedRecords(graph.feed),
            ),
        )
        self.repairer = Repairer(
            graph,
            system.index,
            system.engine.recipe,
            system.service,
            self.auditor,
            system.audits,
            system.journal,
            system.clock,
            mark=system.sync.mark,
            waiting=lambda: 0,
            brake=self.brake,
            words=self.reconcile,
        )

    def reconcile(self, keys: Sequence[RecordKey], *, anew: bool = False) -> object:
        """Make rows right."""
        return self.writer.reconcile(keys, anew=anew)

    def follow(self) -> None:
        """Make every row right."""
        keys = [row.key for row in self.system.graph.scan(None, _MANY)]
        self.writer.reconcile([*keys, *(stamp.key for stamp in self.words.scan(None, _MANY))])


def words_found(report: AuditReport) -> dict[str, set[str]]:
    """Return the divergent rows of a report by kind, without empty kinds."""
    assert report.words is not None, "no word rows were compared"
    return {kind: {key.encode() for key in keys} for kind, keys in report.words.by_kind().items() if keys}
