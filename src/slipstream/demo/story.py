"""The chapters of the demo in their order, and what must hold at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from slipstream.app.composition import open_pkg
from slipstream.app.insights import status_as_dict
from slipstream.app.slipstream import Slipstream
from slipstream.demo.asking import Answer, ask
from slipstream.demo.capturing import Backfill, Capture, Update, backfill, capture
from slipstream.demo.editing import entities_of
from slipstream.demo.healing import Rewriting, Tampering, find_and_repair, rewrite_by_cypher
from slipstream.demo.killing import Kill, kill_and_recover
from slipstream.demo.live import Live, edit_live
from slipstream.demo.place import prepare
from slipstream.domain.entities import Entity

FRESH_ENOUGH_MS = 1_000.0
"""What 95 % of the live edits must be searchable within."""
_EDITS = 100
_ACKNOWLEDGEMENTS = 150
_TAMPERED = 3


class Narrator(Protocol):
    """Tells the story while it happens."""

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        ...

    def bar(self, label: str, unit: str) -> AbstractContextManager[Update]:
        """Show progress."""
        ...

    def tell(self, result: object) -> None:
        """Show what a chapter brought."""
        ...


@dataclass(frozen=True, slots=True)
class Totals:
    """Graph and index at the end."""

    entities: int
    relationships: int
    embeddings: int
    consistency: float
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was seen."""

    directory: str
    capture: Capture
    backfill: Backfill
    live: Live
    kill: Kill
    tampering: Tampering
    rewriting: Rewriting
    searches: Sequence[Answer]
    totals: Totals
    seconds: float

    @property
    def checks(self) -> Mapping[str, bool]:
        """What must hold, and whether it did."""
        live, kill, tampering, rewriting, totals = self.live, self.kill, self.tampering, self.rewriting, self.totals
        return {
            "backfill complete": self.backfill.consistency == 1.0,
            "95 % of live edits searchable within a second": live.p95_ms < FRESH_ENOUGH_MS,
            "irrelevant edits embed nothing": live.irrelevant_embedded == 0,
            "no acknowledged mutation lost by the kill": kill.lost == 0,
            "index equal to the graph after the kill": kill.consistency == 1.0 and not any(kill.divergences.values()),
            "every damaged record found by its class": tampering.all_found,
            "index repaired": tampering.consistency == 1.0 and tampering.repaired_again == 0,
            "Cypher write found": rewriting.hits == rewriting.topics > 0 and rewriting.hits_after_undoing == 0,
            "Cypher write embeds only what it touched": rewriting.embedded <= rewriting.topics + rewriting.packages,
            "index equal to the graph after Cypher": rewriting.consistency == 1.0,
            "every question answered": all(answer.hits for answer in self.searches),
            "index equal to the graph at the end": totals.consistency == 1.0 and totals.dead_letters == 0,
        }

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return all(self.checks.values())


def run(directory: Path, entities: int, narrator: Narrator, *, keep: bool) -> Facts:
    """Tell the whole story in a directory; with `keep`, go on with the PKG of an earlier demo."""
    started = time.perf_counter()
    prepare(directory, keep=keep)

    def reopen() -> Slipstream:
        return open_pkg(directory, run=False)

    captured, filled, live, before = _fill_and_edit(reopen, entities, narrator)
    narrator.chapter("A worker process is killed (SIGKILL) in the middle of its edits")
    kill = kill_and_recover(directory, reopen, before, _ACKNOWLEDGEMENTS)
    narrator.tell(kill)
    narrator.chapter("The index file is tampered with behind the engine's back")
    tampering = find_and_repair(directory, reopen, _TAMPERED)
    narrator.tell(tampering)
    with open_pkg(directory) as slip:
        narrator.chapter("The graph is rewritten by arbitrary Cypher")
        rewriting = rewrite_by_cypher(slip)
        narrator.tell(rewriting)
        narrator.chapter("Searches")
        searches = ask(slip)
        narrator.tell(searches)
        totals = _totals(slip)
    return Facts(
        directory=str(directory.resolve()),
        capture=captured,
        backfill=filled,
        live=live,
        kill=kill,
        tampering=tampering,
        rewriting=rewriting,
        searches=searches,
        totals=totals,
        seconds=time.perf_counter() - started,
    )


def _fill_and_edit(
    reopen: Callable[[], Slipstream], entities: int, narrator: Narrator
) -> tuple[Capture, Backfill, Live, list[Entity]]:
    """Chapters 1 and 2; the entities are those that the next process will find."""
    with reopen() as slip:
        narrator.chapter("The knowledge graph of this Python environment, and its vectors")
        with narrator.bar("capturing", "rows") as update:
            captured = capture(slip, entities, update)
        narrator.tell(captured)
        with narrator.bar("embedding", "entities") as update:
            filled = backfill(slip, captured.entities, update)
        narrator.tell(filled)
        narrator.chapter("Live edits, 20 a second")
        with narrator.bar("editing", "edits") as update:
            live = edit_live(slip, _EDITS, update)
        narrator.tell(live)
        return captured, filled, live, entities_of(slip)


def _totals(slip: Slipstream) -> Totals:
    report = slip.verify()
    status = status_as_dict(slip)
    return Totals(
        entities=report.total_entities,
        relationships=status["relationships"],
        embeddings=report.total_embeddings,
        consistency=report.consistency or 0.0,
        dead_letters=status["dead_letters"],
    )
