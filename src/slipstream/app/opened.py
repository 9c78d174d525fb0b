"""What a PKG was opened from: its directory, its configuration, and the requests to its engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipstream.app.config import Config
from slipstream.app.uploads import Uploads
from slipstream.ports.requests import Requests


@dataclass(frozen=True, slots=True)
class Opened:
    """Where an open PKG is, and how its engine is asked for what takes long."""

    directory: Path
    data: Path
    """The folder of its files."""
    config: Config
    """In force."""
    requests: Requests
    """Durable: what is asked for is done even if this process ends first."""
    uploads: Uploads
    """Files that were sent here, until they are imported."""
