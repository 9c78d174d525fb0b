"""Generations: which recipe searches are answered by, which one stands beside it, and how far that is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from slipstream.domain.errors import CorruptionError, SlipstreamError
from slipstream.ports.journal import Journal
from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration
from slipstream.views.serialised import views_from_json, views_to_json

GENERATIONS = "generations"
"""The name under which the journal keeps them: one value, so every change of it is atomic."""

_FORMAT = 1


class Phase(StrEnum):
    """What the generation beside the live one is for."""

    ALONE = "alone"
    """There is none."""
    BUILDING = "building"
    """It is being filled."""
    BUILT = "built"
    """It has been filled, and follows the log."""
    RETIRED = "retired"
    """It was live until the cut-over, and follows the log so that a roll-back is possible."""
    DROPPING = "dropping"
    """Its records are being removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """
    The live recipe and, during a migration, the other one.

    `number` is the highest generation ever given: none is used twice.
    """

    live: RecipeDeclaration
    other: RecipeDeclaration | None = None
    phase: Phase = Phase.ALONE
    is_paused: bool = False
    number: int = 1
    started_at: datetime | None = None
    since: datetime | None = None
    """When the present phase began."""

    @property
    def follows(self) -> bool:
        """Whether the other generation is kept in line with the graph."""
        return self.other is not None and not self.is_paused and self.phase is not Phase.DROPPING


def load_generations(journal: Journal) -> Generations | None:
    """Return what the journal keeps, None for a new journal; raises `CorruptionError` for what is unreadable."""
    text = journal.get(GENERATIONS)
    if text is None:
        return None
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, SlipstreamError) as error:
        raise CorruptionError(
            f"the journal's {GENERATIONS!r} can not be read ({error}): it was written by a newer version, or damaged"
        ) from error


def save_generations(journal: Journal, generations: Generations) -> None:
    """Keep them, in one step."""
    journal.set(GENERATIONS, json.dumps(_content(generations)))


def declaration_text(declaration: RecipeDeclaration) -> str:
    """Return a declaration as canonical JSON: equal ones give equal texts."""
    return json.dumps(_declaration_content(declaration), sort_keys=True)


def _content(generations: Generations) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "live": _declaration_content(generations.live),
        "other": None if generations.other is None else _declaration_content(generations.other),
        "phase": generations.phase.value,
        "is_paused": generations.is_paused,
        "number": generations.number,
        "started_at": _moment_text(generations.started_at),
        "since": _moment_text(generations.since),
    }


def _declaration_content(declaration: RecipeDeclaration) -> dict[str, Any]:
    return {
        "views": json.loads(views_to_json(declaration.views)),
        "routes": dict(declaration.routes),
        "models": {name: list(identity) for name, identity in declaration.models.items()},
        "generations": dict(declaration.generations),
        "generation": declaration.generation,
    }


def _parsed(content: Mapping[str, Any]) -> Generations:
    if content["format"] != _FORMAT:
        raise CorruptionError(f"format {content['format']} is unknown: install the version that wrote it")
    return Generations(
        live=_declaration(content["live"]),
        other=None if content["other"] is None else _declaration(content["other"]),
        phase=Phase(content["phase"]),
        is_paused=bool(content["is_paused"]),
        number=int(content["number"]),
        started_at=_moment(content["started_at"]),
        since=_moment(content["since"]),
    )


def _declaration(content: Mapping[str, Any]) -> RecipeDeclaration:
    return RecipeDeclaration(
        views=tuple(views_from_json(json.dumps(content["views"]))),
        routes=dict(content["routes"]),
        models={name: ModelIdentity(version, dimension) for name, (version, dimension) in content["models"].items()},
        generations={name: int(number) for name, number in content["generations"].items()},
        generation=int(content["generation"]),
    )


def _moment_text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
