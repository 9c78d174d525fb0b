"""What Python callers may set when they open a PKG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from slipstream.app.composition.factories import system_clock
from slipstream.engine.settings import SyncSettings
from slipstream.ports.audits import AuditStore
from slipstream.ports.clock import Clock
from slipstream.ports.embedder import Embedder
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.rerankers import Reranker
from slipstream.ports.sync_view import SyncView
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.ports.words import WordIndex
from slipstream.views.declaration import View

T = TypeVar("T")


def _same(port: T) -> T:
    return port


class OnOtherRecipe(StrEnum):
    """What to do when the configuration declares another recipe than the one in force."""

    REFUSE = "refuse"
    """
    Raise `ConfigError` for other models, and for other views amid a migration: nothing is mixed, nothing is lost.

    Edited views of the same models are put in force, and what they change is embedded anew.
    """
    KEEP = "keep"
    """Go on with the recipe in force; the declared one is only a candidate for a migration."""
    KEEP_MODELS = "keep_models"
    """
    Put edited views in force as `REFUSE` does; where that would raise, go on with the recipe in force.

    `Slipstream.refused_recipe` then tells what differs. The command line uses this: search goes on until a migration.
    """
    KEEP_AND_TELL = "keep_and_tell"
    """Go on with the recipe in force as `KEEP` does, and have `Slipstream.refused_recipe` tell what differs."""
    REPLACE = "replace"
    """Put the declared recipe in force at once: searches find only what has been embedded anew already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """Where tests and tools put wrappers (faults, retries) around the engine's ports."""

    graph: Callable[[GraphReader], GraphReader] = _same
    index: Callable[[VectorIndex], VectorIndex] = _same
    journal: Callable[[Journal], Journal] = _same
    audits: Callable[[AuditStore], AuditStore] = _same
    embedder: Callable[[Embedder], Embedder] = _same
    sync_view: Callable[[SyncView], SyncView] = _same
    words: Callable[[WordIndex], WordIndex] = _same


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What Python callers may set beyond the configuration file."""

    views: tuple[View, ...] = ()
    embedders: tuple[Embedder, ...] = ()
    """Models of the caller's own, by `spec.id`; the first one is the default model."""
    reranker: Reranker | None = None
    """Reads the best hits of a search once more; see `slipstream.adapters.rerankers.onnx`."""
    settings: SyncSettings | None = None
    clock: Clock = field(default_factory=system_clock)
    wrapping: Wrapping = field(default_factory=Wrapping)
    on_other_recipe: OnOtherRecipe = OnOtherRecipe.REFUSE
    """What to do when other models are declared than the index was built with."""
    silence_s_max: float = 10.0
    """A process that holds the engine and is not heard of for so long (it was stopped, say) is replaced."""
    tracer: Tracer = NO_TRACER
    """Gets a span for every stage; see `slipstream.adapters.telemetry.opentelemetry`."""
