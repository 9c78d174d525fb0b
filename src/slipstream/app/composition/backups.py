"""Composes backup, restore and export of a PKG: none opens the PKG, so processes that have it open go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from slipstream.adapters.wrappers.scoped import scoped
from slipstream.app.backup.auditing import OpenCopy
from slipstream.app.backup.checking import CheckedBackup, check_backup
from slipstream.app.backup.making import Backups
from slipstream.app.backup.owed import OwedInCopy, WordsOwedInCopy
from slipstream.app.backup.parts import BackupParts, OnStep, no_step
from slipstream.app.backup.restoring import RestoreReport, finish_restore, restore
from slipstream.app.composition.factories import (
    DATA_FOLDER,
    GRAPH_FILE,
    GRAPHS,
    INDEX_FILE,
    backup_parts,
    forgetful_letters,
    is_graph_there,
    open_store,
    system_clock,
)
from slipstream.app.composition.models import registered_models
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import declare, recipes_of, router_of, views_of
from slipstream.app.config import Config, load_config
from slipstream.app.exporting import Exporter
from slipstream.app.pkg import PKG
from slipstream.app.rehearsing import Rehearsing, Stage
from slipstream.app.remote.parts import StorePorts
from slipstream.audit.changes import LoggedChanges
from slipstream.audit.words_comparing import AuditedWords
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.journal_names import WORDS_VIEWS
from slipstream.domain.models import ModelSpec
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.engine.planner import Planner
from slipstream.ports.backup import PinnedGraph
from slipstream.ports.embedder import Embedder
from slipstream.ports.journal import Journal
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Generations, load_generations
from slipstream.views.words import WordViews

_SILENCE_S_MAX = 10.0


def backups_of(directory: Path | str, config: Config | None = None) -> Backups:
    """Return what makes backups of the PKG in a directory; raises `ConfigError` when there is none."""
    root = Path(directory)
    finish_restore(root, root / DATA_FOLDER)
    return Backups(root, config or load_config(root), parts())


def exporter_of(directory: Path | str) -> Exporter:
    """Return what exports the graph of the PKG in a directory; a missing graph is reported only by the export."""
    root = Path(directory)
    data, outside = root / DATA_FOLDER, parts()
    finish_restore(root, data)

    def pin() -> PinnedGraph:
        if not is_graph_there(data):  # checked only now: in an incident a PKG is open without a graph
            raise ConfigError(f"{root} holds no graph: there is nothing to export")
        return outside.pin_graph(data / GRAPH_FILE)

    return Exporter(pin, outside.clock)


def rehearsing_of(directory: Path, config: Config) -> Rehearsing:
    """Return what makes copies of a PKG's graph to rehearse imports in."""
    data, outside = directory / DATA_FOLDER, parts()

    @contextmanager
    def rehearsing() -> Iterator[Stage]:
        with TemporaryDirectory(prefix="rehearsal-", dir=data) as name, ExitStack() as stack:
            with closing(outside.pin_graph(data / GRAPH_FILE)) as pinned:
                pinned.copy_into(Path(name) / GRAPH_FILE, lambda _: None)
            graph = GRAPHS[config.graph.adapter](config, Path(name), outside.clock)
            stack.callback(graph.close)
            yield Stage(PKG(graph), forgetful_letters())

    return rehearsing


def checked_backup(folder: Path | str, on_progress: OnStep = no_step) -> CheckedBackup:
    """Check a finished backup; see `slipstream.app.backup.checking.check_backup`."""
    return check_backup(folder, parts(), on_progress)


def restored(
    source: Path | str, directory: Path | str, *, replace: bool = False, on_progress: OnStep | None = None
) -> RestoreReport:
    """Restore a backup into a directory; see `slipstream.restore`."""
    return restore(source, directory, parts(), replace=replace, on_progress=on_progress or no_step)


def parts() -> BackupParts:
    """Return what backup and restore are made of."""
    return backup_parts(opened_copy)


@contextmanager
def opened_copy(root: Path, config: Config) -> Iterator[OpenCopy]:
    """
    Open a copy of a PKG for an audit: no engine, no lease, no mark.

    Its models need not be available: the journal holds their identities, and nothing is embedded.
    """
    data, clock = root / DATA_FOLDER, system_clock()
    has_vectors = parts().has_vectors(config) and (data / INDEX_FILE).exists()
    with ExitStack() as stack:
        graph = GRAPHS[config.graph.adapter](config, data, clock)
        stack.callback(graph.close)
        store = open_store(data, _SILENCE_S_MAX)
        stack.callback(store.close)
        generations = _generations(config, store.journal)
        registry = _named_models(generations)
        stack.callback(registry.close)
        service = MultiModelEmbeddingService(
            registry, router_of(generations.live, registry), fusion=FusionWeights(**config.models.fusion.model_dump())
        )
        recipes = recipes_of(generations, service)
        index = scoped(store.index, recipes.hides)
        changes = LoggedChanges(graph.feed, Planner(graph.reader, recipes, fanout_live_max=0))
        yield OpenCopy(
            graph=graph.reader,
            recipe=recipes,
            index=index if has_vectors else None,
            owed=OwedInCopy(graph.reader, index, store.journal, store.letters, changes),
            dead_letters=store.letters.letter_count(),
            clock=clock,
            words=_words_of(config, store),
        )


def _words_of(config: Config, store: StorePorts) -> AuditedWords | None:
    """Return the word rows of a copy; None when they were not made by the views that its configuration names."""
    views = WordViews(views_of(config, Options()))
    if store.journal.get(WORDS_VIEWS) != views.digest:
        return None  # there is no whole set of them, or the views are those of a program
    return AuditedWords(rows=store.words, views=views, reflects=WordsOwedInCopy(store.journal))


def _generations(config: Config, journal: Journal) -> Generations:
    """Return the generations in force in the copy; if no engine has ever run there, those that are declared."""
    kept = load_generations(journal)
    if kept is not None:
        return kept
    options = Options()
    registry, router = registered_models(config, options, journal)
    try:
        return Generations(live=declare(views_of(config, options), router, registry))
    finally:
        registry.close()


def _named_models(generations: Generations) -> ModelRegistry:
    """Return the models as the journal names them; none of them can embed."""
    registry = ModelRegistry()
    recipes = [generations.live] if generations.other is None else [generations.live, generations.other]
    for model_id, spec in _specs(recipes).items():
        registry.register_lazy(model_id, _refuse, spec=spec)
    return registry


def _specs(recipes: list[RecipeDeclaration]) -> dict[str, ModelSpec]:
    return {
        model_id: ModelSpec(model_id, identity.version, identity.dimension)
        for recipe in reversed(recipes)
        for model_id, identity in recipe.models.items()
    }


def _refuse() -> Embedder:
    raise UnavailableError("the audit of a copy embeds nothing")
