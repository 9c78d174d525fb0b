"""Backups, in the one folder that the server was told at its start; they are named, never by paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from slipstream.app.backup.folders import disk_trouble, whole_backups
from slipstream.app.backup.manifest import Manifest
from slipstream.app.remote.keeping import MAKE_BACKUP
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, IncidentError, NotFoundError
from slipstream.http.asking import ACCEPTED, Asks, Order, WaitFor
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg

_NAME = re.compile(r"slipstream-\d{8}T\d{6}Z(-\d{1,6})?", re.ASCII)


class Backup(BaseModel):
    """A whole backup; `slipstream restore` makes a PKG of it."""

    name: str
    is_of_this_graph: bool
    size_bytes: int
    manifest: Manifest


class Backups(BaseModel):
    """The whole backups in the server's folder, newest first."""

    items: list[Backup]
    total: int


class NewBackup(Order):
    """How many are to stay."""

    keep: int | None = Field(default=None, ge=1, le=100_000, description="Of this graph, the new one among them")
    wait_s: WaitFor = 20.0


class Made(BaseModel):
    """A backup that has passed its audit."""

    backup: Backup
    copy_s: float
    check_s: float = Field(description="How long its restore into a scratch folder and its audit took")
    removed: list[str] = Field(description="Older backups that were removed")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["backups"])

    @routes.get("/backups")
    def list_backups(
        request: Request, slipstream: Pkg, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
    ) -> Backups:
        """List the whole backups in the server's folder with their manifests."""
        folder, identity = _folder(request), _identity(slipstream)
        found = _whole(folder)
        items = [_told(path.name, manifest, identity) for path, manifest in reversed(found[-limit:])]
        return Backups(items=items, total=len(found))

    @routes.get("/backups/{name}")
    def read_backup(request: Request, slipstream: Pkg, name: Annotated[str, InPath(max_length=100)]) -> Backup:
        """Tell what a backup holds, as of which moment."""
        found = next((each for each in _whole(_folder(request)) if each[0].name == name), None)
        if _NAME.fullmatch(name) is None or found is None:
            raise NotFoundError(f"there is no whole backup {name!r}: list them")
        return _told(name, found[1], _identity(slipstream))

    @routes.post("/backups", dependencies=[needs(Scope.ADMIN)], response_model=Made, responses=ACCEPTED)
    async def make_backup(
        request: Request, slipstream: Pkg, asks: Asks, body: NewBackup | None = None
    ) -> Made | JSONResponse:
        """Make a backup while everything runs; it counts when it has been restored aside and audited."""
        body = body or NewBackup()
        report = await asks.result(MAKE_BACKUP, body.wait_s, folder=_folder(request), keep=body.keep)
        if isinstance(report, JSONResponse):
            return report
        identity = await asks.aside(_identity, slipstream)
        return Made(
            backup=_told(report.path.name, report.manifest, identity),
            copy_s=report.copy_s,
            check_s=report.check_s,
            removed=[path.name for path in report.removed],
        )

    return routes


def _folder(request: Request) -> Path:
    found: Path | None = getattr(request.app.state, "backups", None)
    if found is None:
        raise ConfigError("this server has no folder for backups: start it with --backups FOLDER")
    return found.absolute()


def _whole(folder: Path) -> list[tuple[Path, Manifest]]:
    if not folder.is_dir():
        return []
    with disk_trouble(folder):
        return [each for each in whole_backups(folder) if _NAME.fullmatch(each[0].name) and not each[0].is_symlink()]


def _identity(slipstream: Slipstream) -> str | None:
    try:
        return slipstream.pkg.identity
    except IncidentError:  # there may be no graph
        return None


def _told(name: str, manifest: Manifest, identity: str | None) -> Backup:
    is_same = manifest.graph_id == identity
    return Backup(name=name, is_of_this_graph=is_same, size_bytes=manifest.size_bytes, manifest=manifest)
