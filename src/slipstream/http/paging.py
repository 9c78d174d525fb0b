"""Pages: what all listings take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from slipstream.app.browsing import PAGE_MAX

CURSOR_SIZE_MAX = 16_384
"""Characters of a cursor: it may hold two ids, escaped."""

After = Annotated[
    str | None,
    Query(max_length=CURSOR_SIZE_MAX, description="The `next` of the page before; leave it out for the first page"),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="How many at most")]
