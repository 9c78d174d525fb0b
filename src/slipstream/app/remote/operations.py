"""
The operations that another process may ask for: all of them, in one place.

A request names a row of this table, and nothing else is ever called. Operations that only read the graph, the
journal, the kept audits or an index that several processes can open are not in it: every process does those by
itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from slipstream.app.remote.codec import Signature
from slipstream.app.remote.keeping import MAKE_BACKUP, TAKE_UPLOAD, make_backup, take_upload
from slipstream.app.slipstream import Slipstream
from slipstream.app.watch import Watch
from slipstream.audit.auditor import Auditor
from slipstream.audit.repair import Progress, Repairer, RepairResult
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.errors import StalePlanError, UnsupportedError
from slipstream.domain.journal_names import ADOPTED
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import KeyStamps
from slipstream.engine.intake import Intake
from slipstream.engine.runner import Sync
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.migration.migrations import Migrations
from slipstream.ports.index import VectorIndex
from slipstream.quality.runs import Quality
from slipstream.recipes.generations import Phase

SERVER = "server"
"""The scope of what only a server itself asks for."""
Again = Callable[[Slipstream], "Done | None"]


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a step that an earlier owner has already taken."""

    result: Any


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that may be asked for."""

    name: str
    declared: Any
    """The function whose type hints describe arguments and result; for a value, the property's getter."""
    perform: Callable[..., Any]
    """Performs the operation, given the open PKG and the arguments."""
    is_long: bool = False
    """Whether it may take more than a moment: long operations never hold up short ones."""
    is_value: bool = False
    without: tuple[str, ...] = ()
    scope: str = "admin"
    """What a client of a server must be granted for it: read, write or admin; `SERVER`: no client asks for it."""
    again: Again | None = None
    """Called first when an earlier owner began the request: returns its result, None if the step was not taken."""

    @cached_property
    def signature(self) -> Signature:
        """What the operation takes and returns."""
        return Signature(self.declared, self.name, self.without)


def _method(path: str, declared: Callable[..., Any], **options: Any) -> Operation:
    """Return the row of a method of a part of the facade; with an empty path, of the facade itself."""
    name = f"{path}.{declared.__name__}" if path else declared.__name__
    found = attrgetter(name)  # fixed here: a request never names an attribute

    def perform(slipstream: Slipstream, **arguments: Any) -> Any:
        return found(slipstream)(**arguments)

    return Operation(name=name, declared=declared, perform=perform, **options)


def _value(path: str, declared: Any, **options: Any) -> Operation:
    """Return the row of a property of a part of the facade."""
    name = f"{path}.{declared.fget.__name__}"
    return Operation(name=name, declared=declared.fget, perform=attrgetter(name), is_value=True, **options)


def _repair(slipstream: Slipstream, **arguments: Any) -> Any:
    with slipstream.scrubber.aside():  # one repair at a time; this one goes first, for somebody waits for it
        return slipstream.repairer.repair(**arguments)


def _confirm(slipstream: Slipstream, **arguments: Any) -> Any:
    with slipstream.scrubber.aside():
        return slipstream.repairer.confirm(**arguments)


def _mend(slipstream: Slipstream, **arguments: Any) -> Any:
    with slipstream.scrubber.aside():
        return slipstream.repairer.mend(**arguments)


def apply_repair(
    slipstream: Slipstream,
    audit_id: int,
    kinds: Sequence[str],
    *,
    precondition: str | None = None,
    confirm: str | None = None,
    on_progress: Progress | None = None,
) -> RepairResult:
    """
    Repair a kept audit as it was planned, or confirm a plan of the brake.

    Raises `StalePlanError` for another `precondition` than that of its plan, or where `confirm` no longer fits.
    """
    with slipstream.scrubber.aside():
        repairer = slipstream.repairer
        if confirm is not None:
            return repairer.confirm(confirm, on_progress=on_progress)
        if precondition != repairer.precondition(audit_id, kinds):
            raise StalePlanError(f"this is not the plan of a repair of audit {audit_id} as it is now: plan anew")
        return repairer.repair(audit_id, kinds, on_progress=on_progress)


def repair_as_told(slipstream: Slipstream, divergences: Mapping[str, Sequence[str]]) -> int:
    """Mark divergent keys, by kind of divergence, as `EmbeddingConsistencyValidator` does."""
    return slipstream.validator.repair_inconsistencies({"divergences": divergences})


def held_in_index(slipstream: Slipstream, keys: Sequence[RecordKey]) -> Sequence[tuple[RecordKey, KeyStamps]]:
    """Return what the index holds of some keys, as pairs: `VectorIndex.stamps`."""
    return list(slipstream.store.index.stamps(keys).items())


def _is_adopted(slipstream: Slipstream) -> Done | None:
    return None if slipstream.incident is not None else Done(int(slipstream.journal.get(ADOPTED) or 0))


def _is_building(slipstream: Slipstream) -> Done | None:
    phase = slipstream.migrations.generations.phase
    return Done(slipstream.migrations.status()) if phase in (Phase.BUILDING, Phase.BUILT) else None


def _is_dropped(slipstream: Slipstream) -> Done | None:
    return Done(None) if slipstream.migrations.generations.phase in (Phase.DROPPING, Phase.ALONE) else None


def _is_cut_over(slipstream: Slipstream) -> Done | None:
    is_there = slipstream.migrations.generations.phase is Phase.RETIRED
    return Done(slipstream.migrations.audit()) if is_there else None


def _is_rolled_back(slipstream: Slipstream) -> Done | None:
    is_there = slipstream.migrations.generations.phase is Phase.BUILT
    return Done(slipstream.migrations.audit()) if is_there else None


_TABLE: Iterable[Operation] = (
    # The facade itself.
    _method("", Slipstream.search, scope="read", is_long=True),  # where only one process can open the index
    _method("", Slipstream.why_not, scope="read", is_long=True),
    _method("", Slipstream.status, scope="read"),
    _method("", Slipstream.adopt, is_long=True, again=_is_adopted),
    _method("", Slipstream.verify, scope="write", is_long=True),
    _method("", Slipstream.repair, is_long=True),
    _method("", Slipstream.sync_state, scope="read"),
    _method("", Slipstream.explain, scope="read"),
    _method("", Slipstream.replay_dead_letters, scope="write", is_long=True),
    _method("", Slipstream.discard_dead_letters),
    _method("", Slipstream.erase, is_long=True),
    _method("", Slipstream.cut_over, is_long=True, again=_is_cut_over),
    _method("store.index", VectorIndex.scan, scope="read", is_long=True),  # likewise
    Operation(name="store.index.held", declared=held_in_index, perform=held_in_index, scope="read"),
    # The engine.
    _value("sync", Sync.running, scope="read"),
    _method("sync", Sync.drain, scope="write", is_long=True),
    _method("sync", Sync.wait_for_some, scope="read", is_long=True),
    _method("sync", Sync.wait_for_words, scope="read", is_long=True),
    _method("sync", Sync.behind, scope="read"),
    _method("sync", Sync.mark, scope="write"),
    _method("sync", Sync.write_back, scope="write", is_long=True),
    _method("sync.engine.intake_stage", Intake.progress, scope="read"),
    # Audits and repairs.
    _method("auditor", Auditor.audit, scope="write", is_long=True, without=("pace",)),
    _method("auditor", Auditor.audit_changes, scope="write", is_long=True, without=("pace",)),
    _method("auditor", Auditor.audit_sample, scope="write", is_long=True, without=("pace",)),
    Operation(name="validator.repair_inconsistencies", declared=repair_as_told, perform=repair_as_told, is_long=True),
    _method("repairer", Repairer.plan, scope="read", is_long=True),
    _value("repairer", Repairer.unfinished, scope="read"),
    Operation(
        name="repairer.repair", declared=Repairer.repair, perform=_repair, is_long=True, without=("rest", "slot")
    ),
    Operation(name="repairer.confirm", declared=Repairer.confirm, perform=_confirm, is_long=True, without=("rest",)),
    _method("repairer", Repairer.precondition, scope="read"),
    Operation(name="repairs.apply", declared=apply_repair, perform=apply_repair, is_long=True),
    _method("repairer", Repairer.braked, scope="read", is_long=True),
    Operation(name="repairer.mend", declared=Repairer.mend, perform=_mend, is_long=True, without=("rest",)),
    _method("repairer", Repairer.verify, scope="write", is_long=True, without=("pace",)),
    _value("scrubber", Scrubber.health, scope="read"),
    _method("scrubber", Scrubber.summary, scope="read"),
    _method("scrubber", Scrubber.pause),
    _method("scrubber", Scrubber.resume),
    _method("watch", Watch.readings, scope="read"),
    _method("watch", Watch.metrics, scope="read"),
    _method("watch", Watch.summary, scope="read"),
    # Generations.
    _value("migrations", Migrations.is_declared, scope="read"),
    _method("migrations", Migrations.candidate, scope="read"),
    _method("migrations", Migrations.declare, scope="read"),
    _method("migrations", Migrations.plan, is_long=True),  # renders what templates it is given
    _method("migrations", Migrations.start, is_long=True, again=_is_building),
    _method("migrations", Migrations.wait, scope="write", is_long=True),
    _method("migrations", Migrations.pause, is_long=True),
    _method("migrations", Migrations.resume, is_long=True),
    _method("migrations", Migrations.status, scope="read"),
    _method("migrations", Migrations.audit, scope="write", is_long=True),
    _method("migrations", Migrations.cut_over, is_long=True, again=_is_cut_over),
    _method("migrations", Migrations.roll_back, is_long=True, again=_is_rolled_back),
    _method("migrations", Migrations.drop, is_long=True, again=_is_dropped),
    # Quality.
    _method("quality", Quality.run, scope="write", is_long=True),
    _method("quality", Quality.reembed, is_long=True),
    _method("quality", Quality.compare, scope="write", is_long=True),
    _method("quality", Quality.check, scope="read"),
    _method("quality", Quality.search, scope="write", is_long=True),
    _method("quality", Quality.tune_search, scope="write", is_long=True),
    _method("quality", Quality.searches, scope="read"),
    _method("quality", Quality.compare_searches, scope="read", is_long=True),
    _method("quality", Quality.questions, scope="read", is_long=True),
    _method("quality", Quality.objections, scope="write", is_long=True),
    # What a server does with its own files.
    Operation(name=TAKE_UPLOAD, declared=take_upload, perform=take_upload, is_long=True, scope=SERVER),
    Operation(name=MAKE_BACKUP, declared=make_backup, perform=make_backup, is_long=True, scope=SERVER),
    # Embedding anew.
    _method("reembedding", ReembeddingService.plan, scope="read", is_long=True),
    _method("reembedding", ReembeddingService.trigger_reembedding, is_long=True),
    _method("reembedding", ReembeddingService.resume, is_long=True),
)
OPERATIONS: Mapping[str, Operation] = {operation.name: operation for operation in _TABLE}


def operation_named(name: str) -> Operation:
    """Return a row of the table; raises `UnsupportedError` for a name that is not in it."""
    found = OPERATIONS.get(name)
    if found is None:
        raise UnsupportedError(
            f"{name} is nothing that can be asked of the process that runs the engine: do it there, or when that "
            "process has ended"
        )
    return found
