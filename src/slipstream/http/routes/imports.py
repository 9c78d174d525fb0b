"""Imports: a graph or change events, sent as the body, kept as a file until they are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect

from slipstream.app.remote.keeping import TAKE_UPLOAD
from slipstream.app.slipstream import Slipstream
from slipstream.app.uploads import NAME_BYTES_MAX, Form, Said, UploadReport
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.hints import near_miss
from slipstream.http.asking import ACCEPTED, Asks, WaitS
from slipstream.http.routes.status import Counts
from slipstream.http.scopes import Scope, needs
from slipstream.http.served import Pkg
from slipstream.importers.options import ReadOptions, Relate, parse_column
from slipstream.importers.reading import PIPED_NAMES

UPLOAD_BYTES_MAX = 1024 * 1024 * 1024
_Name = str | None
_BLOCK_BYTES = 1024 * 1024
_NAMES: Mapping[str, str] = {**PIPED_NAMES, "events": "upload.jsonl", "apoc": "upload.jsonl"}
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
    deleted: int = Field(description="Records that the source no longer states")
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
    routes = APIRouter(tags=["imports"], dependencies=[Depends(_known_alone)])

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
        said: Annotated[Said, Depends(_said)],
        form: Annotated[Form, Query(alias="format", description="What the body is; one file")] = "apoc",
        name: Annotated[
            str | None,
            Query(
                min_length=1,
                max_length=NAME_BYTES_MAX,
                description="Of the file, as its source has it: .gz, .zst and .zip are unpacked",
            ),
        ] = None,
        wait_s: WaitS = 20.0,
    ) -> ImportReport | JSONResponse:
        """Import what the body holds: a file, or change events as JSON lines. Idempotent; goes on after a kill."""
        opened = await run_sync(_begin, slipstream, name or _NAMES[form])
        token, file = await run_sync(opened.__enter__)
        try:
            await _received(request, file)
            request_id = await asks.asked(TAKE_UPLOAD, upload=token, form=form, said=said)
        except BaseException as error:
            opened.__exit__(type(error), error, error.__traceback__)
            raise
        await run_sync(opened.__exit__, None, None, None)
        report = await asks.answered(request_id, wait_s)
        return report if isinstance(report, JSONResponse) else _told(report)

    return routes


def _known_alone(request: Request) -> None:
    """Refuse a parameter that nobody knows: whoever sends `dry_run` must not find it imported."""
    known = _parameters(request.scope["route"].dependant)
    unknown = next((name for name in request.query_params if name not in known), None)
    if unknown is not None:
        raise InvalidInputError(
            f"is no parameter{near_miss(unknown, sorted(known))}; there are {', '.join(sorted(known))}", field=unknown
        )


def _parameters(dependant: Any) -> set[str]:
    found = {each.alias for each in dependant.query_params}
    return found.union(*(_parameters(each) for each in dependant.dependencies))


def _said(
    entity_type: Annotated[_Name, Query(alias="type", max_length=200, description="Of rows that say none")] = None,
    id_column: Annotated[_Name, Query(alias="id", max_length=200, description="Column that holds the ids")] = None,
    relate: Annotated[list[str] | None, Query(description="COLUMN:TYPE:OTHERTYPE", max_length=100)] = None,
    column: Annotated[list[str] | None, Query(description="COLUMN=KIND", max_length=1_000)] = None,
    delimiter: Annotated[str | None, Query(max_length=1)] = None,
    id_prefix: Annotated[
        str | None,
        Query(max_length=200, description="Before ids that count within the source only; of dumps: name and #"),
    ] = None,
    replace_source: Annotated[
        str | None, Query(max_length=200, description="The body is all that this source says now; the rest goes")
    ] = None,
    confirm: Annotated[_Name, Query(max_length=100, description="The plan of a deletion that was braked")] = None,
) -> Said:
    options = ReadOptions(
        entity_type=entity_type,
        id_column=id_column,
        relate=tuple(Relate.parse(text) for text in relate or ()),
        columns=tuple(parse_column(text) for text in column or ()),
        delimiter=delimiter,
        id_prefix=id_prefix,
    )
    return Said(options=options, replace_source=replace_source, confirm=confirm)


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
