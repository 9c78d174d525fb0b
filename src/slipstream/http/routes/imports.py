"""Imports: a graph or change events, sent as the body, kept as a file until they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from slipstream.app.remote.keeping import TAKE_UPLOAD
from slipstream.app.slipstream import Slipstream
from slipstream.app.uploads import NAME_BYTES_MAX, Form, UploadReport
from slipstream.domain.errors import InvalidInputError
from slipstream.http.asking import ACCEPTED, Asks, WaitS
from slipstream.http.routes.status import Counts
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg

UPLOAD_BYTES_MAX = 1024 * 1024 * 1024
_BLOCK_BYTES = 1024 * 1024
_RAW: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportReport(BaseModel):
    """What an import brought; rejected rows are dead letters."""

    model_config = ConfigDict(from_attributes=True)

    form: Form
    entities: int = Field(description="Of a dump; the same for relationships")
    relationships: int
    resumed_at_line: int
    left_out: Counts = Field(description="Properties that no graph can keep, by type and name")
    applied: int = Field(description="Of events; the same for duplicates, outdated, ignored and passed ones")
    duplicates: int
    outdated: int
    ignored: int
    passed: Counts
    rejected: int
    errors: list[str] = Field(description="The first reasons for rejections")
    notes: list[str]
    position: int = Field(description="To wait for")


def router() -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["imports"])

    @routes.post(
        "/imports",
        dependencies=[needs(Scope.WRITE)],
        response_model=ImportReport,
        responses=ACCEPTED,
        openapi_extra=dict(_RAW),
    )
    async def import_upload(
        request: Request,
        slipstream: Pkg,
        asks: Asks,
        form: Annotated[Form, Query(alias="format", description="A dump as of apoc.export.json, or events")] = "apoc",
        name: Annotated[
            str,
            Query(
                min_length=1,
                max_length=NAME_BYTES_MAX,
                description="Of the file, as its source has it: .gz and .zst are unpacked",
            ),
        ] = "upload.jsonl",
        id_prefix: Annotated[
            str | None,
            Query(
                max_length=200,
                description="Before the row numbers of nodes without an id; default: name and #",
            ),
        ] = None,
        wait_s: WaitS = 20.0,
    ) -> ImportReport | JSONResponse:
        """Import what the body holds: a graph, or change events as JSON lines. Idempotent; goes on after a kill."""
        opened = await run_sync(_begin, slipstream, name)
        token, file = await run_sync(opened.__enter__)
        try:
            await _received(request, file)
            request_id = await asks.asked(TAKE_UPLOAD, upload=token, form=form, id_prefix=id_prefix)
        except BaseException as error:
            opened.__exit__(type(error), error, error.__traceback__)
            raise
        await run_sync(opened.__exit__, None, None, None)
        report = await asks.answered(request_id, wait_s)
        return report if isinstance(report, JSONResponse) else _told(report)

    return routes


def _begin(slipstream: Slipstream, name: str) -> Any:
    return slipstream.opened.uploads.begun(name)


def _told(report: UploadReport) -> ImportReport:
    return ImportReport.model_validate(report)


async def _received(request: Request, file: IO[bytes]) -> None:
    """Write the body into a file, block by block; raises 413 past the limit, and 400 when it ends early."""
    limit = int(getattr(request.app.state, "upload_bytes", UPLOAD_BYTES_MAX))
    size, block = 0, bytearray()
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, f"the upload has more than {limit:,} bytes: send it in parts")
            block += chunk
            if len(block) >= _BLOCK_BYTES:
                await run_sync(_write, file, bytes(block))
                block.clear()
    except ClientDisconnect as error:
        raise HTTPException(400, "the upload ended early: nothing of it was taken") from error
    if size == 0:
        raise InvalidInputError("is empty: send the file as the body", field="body")
    await run_sync(_write, file, bytes(block))


def _write(file: IO[bytes], block: bytes) -> None:
    left = memoryview(block)
    while left:  # the file is not buffered: it may take less
        left = left[file.write(left) :]
