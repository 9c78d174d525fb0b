"""What is done to a PKG while a fault waits, step by step, and which graphs there may be meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from slipstream.audit.findings import AuditReport
from slipstream.migration.migrations import Migrations
from slipstream.recipes.generations import Phase
from tests.faults.placed.working import BACKUP, DUMP, NEW, NotYetError, Worker
from tests.faults.placed.world import BASE, BESIDE, COMMITS, GHOST, HAUNTED, SICK, Commit, Graph, dump

DUMP_BATCH = 6


@dataclass(frozen=True)
class Workload:
    """Steps to take, and which graphs there may be while and after each step that changes the graph."""

    run: Callable[[Worker], None]
    graphs: Sequence[tuple[str, Sequence[Graph]]]
    """By the name of the step; a commit has one graph, an import one for each row."""
    starts_empty: bool = False
    is_tampered: bool = False
    migrates: bool = False
    backs_up: bool = False


def plan(start: Graph, commits: Sequence[tuple[str, Sequence[Commit]]]) -> list[tuple[str, list[Graph]]]:
    """Return the graphs behind each step."""
    graphs: list[tuple[str, list[Graph]]] = [("", [start])]
    for name, parts in commits:
        held = [graphs[-1][1][-1]]
        for part in parts:
            held.append(held[-1].after(part))
        graphs.append((name, held[1:]))
    return graphs


def numbered(commits: Sequence[Commit]) -> list[tuple[str, Sequence[Commit]]]:
    """Return commits as steps."""
    return [(f"commit-{number}", [commit]) for number, commit in enumerate(commits)]


def base_graph() -> Graph:
    """Return what every PKG holds at first."""
    return plan(Graph(), numbered(BASE))[-1][1][-1]


def fresh(worker: Worker) -> None:
    """Make a PKG and fill it."""
    _commit_all(worker, BASE, shown=range(len(BASE)))


def commits(worker: Worker) -> None:
    """Commit, small and large, and complete the sync view."""
    _commit_all(worker, COMMITS, shown=(0, 2, 4, 5, 8))
    worker.drain()
    worker.show_states()


def imports(worker: Worker) -> None:
    """Import a dump with bad lines, replay what can be mended, forget the rest; the same for a text of no model."""

    def run() -> int:
        return worker.slip.importer().run(worker.base / DUMP, batch=DUMP_BATCH).entities

    worker.open()
    worker.step("import", run)
    worker.drain()
    worker.commit("ghost", GHOST)
    worker.step("replay", worker.replay)
    worker.step("discard", worker.discard)
    worker.show(worker.commit("sick", SICK))
    worker.drain()
    worker.cure()
    worker.step("replay-key", worker.replay)
    worker.drain()


def migrates(worker: Worker) -> None:
    """Build the next generation beside commits, swap there and back and there again, drop the old one."""
    worker.open()
    worker.step("start", lambda: advance(worker.slip.migrations, Phase.BUILDING))
    worker.commit("commit-0", BESIDE[0])
    worker.step("build", lambda: advance(worker.slip.migrations, Phase.BUILT))
    worker.step("cut-over", lambda: advance(worker.slip.migrations, Phase.RETIRED))
    worker.show(worker.commit("commit-1", BESIDE[1]))
    worker.step("roll-back", lambda: _rolled_back(worker.slip.migrations))
    worker.step("cut-over-again", lambda: advance(worker.slip.migrations, Phase.RETIRED))
    worker.step("drop", lambda: advance(worker.slip.migrations, Phase.DROPPING))
    worker.show(worker.commit("commit-2", BESIDE[2]))
    worker.drain()


def advance(migrations: Migrations, phase: Phase) -> None:
    """Take the step that leads to a phase, unless it is taken."""
    found = migrations.generations
    is_new = found.live.model_of("Person") == NEW
    if phase is Phase.BUILDING and found.phase is Phase.ALONE and not is_new:
        migrations.start(migrations.candidate(default=NEW))
    elif phase is Phase.BUILT and not is_new:
        if not migrations.wait(timeout_s=5):
            raise NotYetError("the generation is not built")
    elif phase is Phase.RETIRED and found.phase is Phase.BUILT and not is_new:
        migrations.cut_over()
    elif phase is Phase.DROPPING and found.phase is Phase.RETIRED and is_new:
        migrations.drop()


def _rolled_back(migrations: Migrations) -> None:
    if migrations.generations.phase is Phase.RETIRED:
        migrations.roll_back()


def repairs(worker: Worker) -> None:
    """Find what was tampered with, mend it, and audit again, beside commits."""
    found: list[AuditReport] = []

    def verify() -> int:
        found[:] = [worker.slip.verify(hurry=True)]
        return len(found[0].divergent_keys())

    worker.open()
    worker.step("verify", verify)
    worker.commit("commit-0", BESIDE[0])
    worker.step("repair", lambda: worker.slip.repair(found[0]))
    worker.drain()
    worker.step("repaired", lambda: _mended(worker.slip.verify(hurry=True)))
    worker.commit("commit-1", BESIDE[1])
    worker.show(worker.commit("commit-2", BESIDE[2]))
    worker.step("incremental", lambda: _mended(worker.slip.verify(incremental=True, hurry=True)))
    worker.step("deep", lambda: _mended(worker.slip.verify(deep=20, hurry=True)))


def backs_up(worker: Worker) -> None:
    """Make a backup, and another one that takes the first one's place, beside commits."""

    def make() -> str:
        return worker.slip.backup(worker.base / BACKUP, keep=1).path.name

    worker.open()
    worker.step("backup", make)
    worker.commit("commit-0", BESIDE[0])
    worker.show(worker.commit("commit-1", BESIDE[1]))
    worker.step("backup-again", make)
    worker.show(worker.commit("commit-2", BESIDE[2]))
    worker.drain()


def _mended(report: AuditReport) -> None:
    if not report.is_consistent:
        raise NotYetError(f"{report.divergences}, owed {report.owed}")


def _commit_all(worker: Worker, commits: Sequence[Commit], shown: Sequence[int]) -> None:
    worker.open()
    for number, commit in enumerate(commits):
        position = worker.commit(f"commit-{number}", commit)
        if number in shown:
            worker.show(position)


def _imported() -> list[tuple[str, Sequence[Commit]]]:
    people, ties, _ = dump()
    rows = [[op] for op in (*people, *ties)]
    return [("import", rows), ("ghost", [GHOST]), ("replay", [[HAUNTED]]), ("sick", [SICK])]


WORKLOADS = {
    "fresh": Workload(fresh, plan(Graph(), numbered(BASE)), starts_empty=True),
    "commits": Workload(commits, plan(base_graph(), numbered(COMMITS))),
    "import": Workload(imports, plan(base_graph(), _imported())),
    "migrate": Workload(migrates, plan(base_graph(), numbered(BESIDE)), migrates=True),
    "repair": Workload(repairs, plan(base_graph(), numbered(BESIDE)), is_tampered=True),
    "backup": Workload(backs_up, plan(base_graph(), numbered(BESIDE)), backs_up=True),
}
