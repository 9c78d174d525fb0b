"""Serving metrics beside a long-running command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from slipstream.app.slipstream import Slipstream
from slipstream.cli.output import err
from slipstream.domain.errors import InvalidInputError, UnsupportedError
from slipstream.http import read_token, serve_metrics

Metrics = Annotated[
    str | None, typer.Option(metavar="[HOST:]PORT", help="Serve /metrics and /healthz; on loopback without a host.")
]
TokenFile = Annotated[Path | None, typer.Option(help="A file with the token that every request must bear.")]


@contextmanager
def serving(slipstream: Slipstream, metrics: str | None, token_file: Path | None) -> Iterator[None]:
    """Serve metrics and health while the block runs, if an address is given."""
    if metrics is None:
        yield
        return
    if not slipstream.runs_engine:
        raise UnsupportedError("metrics are served by the process that runs the engine, which is another one")
    host, port = parsed_address(metrics)
    token = None if token_file is None else read_token(token_file)
    with serve_metrics(slipstream, host, port, token=token, consistency=slipstream.watch.metrics) as server:
        err.print(f"serving {server.url}/metrics", markup=False, highlight=False)
        yield


def parsed_address(text: str) -> tuple[str, int]:
    """Return host and port of `[HOST:]PORT`; raises `InvalidInputError` (field `metrics`)."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InvalidInputError(f"{text!r} is not [HOST:]PORT", field="metrics")
    return host.strip("[]") or "127.0.0.1", int(port)
