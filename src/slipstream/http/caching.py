"""Not sending again what a client has: `If-None-Match` by position."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Header, Response

from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import POSITION_MAX, Position
from slipstream.http.writing import etag, is_unchanged

IfNoneMatch = Annotated[
    str | None,
    Header(description="The `ETag` of an answer that is held: 304 without a body where the record is still the same"),
]
_TAGS = re.compile(r'"(\d{1,19})"')
"""The positions of a list of entity tags, weak ones too; others were never ours, so nothing of them is held."""
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It has not changed since"}}


def unchanged_answer(
    slipstream: Slipstream, about: RecordKey, if_none_match: str | None, head: Response
) -> Response | None:
    """Return the answer that a record has not changed since the position that a client has it of; None else."""
    held = [Position(int(found)) for found in _TAGS.findall(if_none_match or "")]
    since = max((position for position in held if position <= POSITION_MAX), default=None)
    if since is None or not is_unchanged(slipstream.pkg.feed, about, since):
        return None
    headers = {**head.headers, "ETag": etag(since)}
    headers.pop("content-length", None)
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
