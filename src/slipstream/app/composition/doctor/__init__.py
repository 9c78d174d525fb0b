"""
The doctor: looks at everything that a PKG needs, and says what is wrong and what to do.

Works where nothing can be opened: no PKG, a broken or locked one, one that is half restored. It reads, and changes
nothing: no file, no lock, no engine.
"""

from __future__ import annotations

from pathlib import Path

from slipstream.app.composition.doctor.backups import look_at_backups
from slipstream.app.composition.doctor.findings import Examination, Finding, Level
from slipstream.app.composition.doctor.machine import look_at_machine
from slipstream.app.composition.doctor.models import look_at_models
from slipstream.app.composition.doctor.places import look_at_places
from slipstream.app.composition.doctor.serving import look_at_serving
from slipstream.app.composition.doctor.stores import look_at_stores

__all__ = ["Finding", "Level", "examined"]


def examined(directory: Path, backups: Path | None = None) -> list[Finding]:
    """Return what there is to say of a PKG, and of its backups in a folder; nothing raises."""
    examination = Examination(directory)
    look_at_machine(examination)
    look_at_places(examination)
    if examination.is_pkg:
        look_at_stores(examination)
        look_at_serving(examination)
        look_at_models(examination)
    look_at_backups(examination, backups)
    return examination.findings
