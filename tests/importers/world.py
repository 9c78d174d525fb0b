"""A PKG to import into, and all that is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import EntityState
from slipstream.testkit.embedders import HashEmbedder
from tests.importers.case import Case


def opened(directory: Path) -> Slipstream:
    """Open a PKG, with the engine standing still."""
    options = Options(embedders=(HashEmbedder(dimension=8),))
    return open_pkg(directory, create=True, run=False, options=options)


def brought(slip: Slipstream, case: Case, paths: list[Path], **more: Any) -> Any:
    """Import paths as the case says."""
    return slip.import_files(*paths, format=case.format, options=case.options, **more)


def entities_of(slip: Slipstream) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return type and properties of every entity, by id."""
    keys = [row.key for row in slip.pkg.scan(None, 100_000, ())]
    states = slip.pkg.read(keys, {}).states.values()
    found = [state.entity for state in states if isinstance(state, EntityState)]
    return {entity.id: (entity.type, dict(entity.properties)) for entity in found}


def relationships_of(slip: Slipstream) -> frozenset[str]:
    """Return the ids of all relationships."""
    return frozenset(row.key.id for row in slip.pkg.scan(None, 100_000) if row.key.encode().startswith("r:"))
