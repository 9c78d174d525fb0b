"""Options that several commands share which serve something; they load nothing of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Metrics = Annotated[
    str | None,
    typer.Option(metavar="[HOST:]PORT", help="Serve /metrics and /healthz alone; on loopback without a host."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="A file of tokens: one that may do all, or lines of `read`, `write` or `admin` and one each."),
]
