"""Operations of a server alone: imports of what was sent to it, and backups into its own folder."""

from __future__ import annotations

import json
from pathlib import Path

from slipstream.app.backup.making import BackupReport
from slipstream.app.backup.parts import OnStep, no_step
from slipstream.app.remote.failures import LeavingError
from slipstream.app.slipstream import Slipstream
from slipstream.app.uploads import Form, OnBytes, Said, UploadReport, Uploads, apply_events, import_upload
from slipstream.ports.requests import WAITING_MAX, Requests

TAKE_UPLOAD = "uploads.take"
MAKE_BACKUP = "backups.make"


def take_upload(slipstream: Slipstream, upload: str, form: Form, said: Said, on_progress: OnBytes) -> UploadReport:
    """
    Import an upload by its token, then remove it; an owner that ends before leaves both to the next one.

    Raises `NotFoundError` when it is gone, and what an import raises.
    """
    uploads = slipstream.opened.uploads
    path = uploads.path_of(upload)
    try:
        if form == "events":
            report = apply_events(slipstream.applier(), path, on_progress)
        else:
            report = import_upload(slipstream, path, form, said, on_progress)
    except LeavingError:
        raise
    except BaseException:
        uploads.remove(upload)
        raise
    uploads.remove(upload)
    return report


def make_backup(
    slipstream: Slipstream, folder: Path, keep: int | None = None, on_progress: OnStep = no_step
) -> BackupReport:
    """Make a backup in a folder that the server was told at its start: never one that a client names."""
    return slipstream.backup(folder, keep, on_progress)


def remove_left_uploads(uploads: Uploads, requests: Requests) -> None:
    """Remove the uploads that no request names."""
    waiting = [request for request in requests.waiting(0, WAITING_MAX) if request.operation == TAKE_UPLOAD]
    uploads.remove_left({str(json.loads(request.arguments)["arguments"].get("upload")) for request in waiting})
