"""Not sending again what a client has: `If-None-Match` by position."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Response

from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import RecordKey
from slipstream.http.writing import etag, is_unchanged, position_in

IfNoneMatch = Annotated[
    str | None,
    Header(description="The `ETag` of an answer that is held: 304 without a body where the record is still the same"),
]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It has not changed since"}}


def unchanged_answer(
    slipstream: Slipstream, about: RecordKey, if_none_match: str | None, head: Response
) -> Response | None:
    """Return the answer that a record has not changed since the position that a client has it of; None else."""
    if if_none_match is None:
        return None
    since = position_in(if_none_match, "If-None-Match")
    if not is_unchanged(slipstream.pkg.feed, about, since):
        return None
    headers = {**head.headers, "ETag": etag(since)}
    headers.pop("content-length", None)
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
