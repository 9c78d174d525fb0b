"""What all writes share: a key that makes a repeat harmless, a precondition by position, waiting for the index."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import quote

import anyio.to_thread
from fastapi import Depends, Header, Request, Response
from pydantic import Field

from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import InvalidInputError, PositionLostError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.log import LogEntry, position_of
from slipstream.domain.positions import POSITION_MAX, Position
from slipstream.http.models import Answer
from slipstream.http.problems import RefusedError
from slipstream.http.served import PKG_NAME
from slipstream.http.waiting import Waiting, WaitS
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphTransaction

KEY_SIZE_MAX = 255
"""Characters of an `Idempotency-Key`."""
LOOKED_BACK_MAX = 50_000
"""Log entries that are looked through for an `If-Match`."""
_PAGE = 1_000
_ETAG = re.compile(r'"(0|[1-9][0-9]{0,18})"')

T = TypeVar("T")


class Written(Answer):
    """What became of a write."""

    position: int = Field(description="The position of the commit: search with `after`, or wait for it")
    repeated: bool = Field(
        default=False, description="Whether this `Idempotency-Key` was carried out before; nothing was done now"
    )
    reached: bool | None = Field(
        default=None, description="Whether searches find it already; null unless `wait_s` was given"
    )


class Put(Written):
    """What became of a write that may have created."""

    created: bool | None = Field(default=None, description="Whether it is new; null for a repeat")


REPEATED: dict[int | str, dict[str, Any]] = {200: {"model": Written, "description": "A repeat: done before"}}
"""Of an operation that creates: what a repeat is answered with."""


CREATED: dict[int | str, dict[str, Any]] = {201: {"model": Put, "description": "Created"}}
"""Of an operation that creates or replaces: what is answered when it has created."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a write is done."""

    key: str | None = None
    digest: str = ""
    """Of what was asked for under that key."""
    unchanged_since: Position | None = None
    is_new: bool = False
    """Whether there must be no such record yet."""
    wait_s: float | None = None


@dataclass(slots=True)
class Done(Generic[T]):
    """A write that was committed, or was found to have been."""

    position: Position
    value: T | None
    """What the change returned; None for a repeat, which changes nothing."""
    is_repeat: bool = False
    reached: bool | None = None

    @property
    def told(self) -> dict[str, Any]:
        """The fields of a `Written`."""
        return {"position": self.position, "repeated": self.is_repeat, "reached": self.reached}


_IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=KEY_SIZE_MAX,
        description="Makes a repeat of this very request harmless: it is applied once, whatever was lost on the way",
    ),
]
_IfMatch = Annotated[
    str | None,
    Header(description='`"POSITION"`: refuse with 412 where the record has changed behind that position'),
]
_IfNoneMatch = Annotated[str | None, Header(description="`*`: refuse with 412 where there is such a record already")]


async def create_terms_of(request: Request, idempotency_key: _IdempotencyKey = None, wait_s: WaitS = None) -> Terms:
    """Return the terms of a write that is about no one record that there is."""
    if "if-match" in request.headers:
        raise InvalidInputError("is for a write to one record that there is", field="If-Match")
    return await change_terms_of(request, idempotency_key, None, wait_s)


async def change_terms_of(
    request: Request, idempotency_key: _IdempotencyKey = None, if_match: _IfMatch = None, wait_s: WaitS = None
) -> Terms:
    """Return the terms of a write to one record."""
    digest = "" if idempotency_key is None else _digest(request, await request.body())
    unchanged_since = None if if_match is None else position_in(if_match, "If-Match")
    return Terms(idempotency_key, digest, unchanged_since, wait_s=wait_s)


async def put_terms_of(
    terms: Annotated[Terms, Depends(change_terms_of)], if_none_match: _IfNoneMatch = None
) -> Terms:
    """Return the terms of a write that creates or replaces."""
    if if_none_match not in (None, "*"):
        raise InvalidInputError("can only be *, when something is put", field="If-None-Match")
    return replace(terms, is_new=if_none_match is not None)


CreateTerms = Annotated[Terms, Depends(create_terms_of)]
ChangeTerms = Annotated[Terms, Depends(change_terms_of)]
PutTerms = Annotated[Terms, Depends(put_terms_of)]


def position_in(etag: str, name: str) -> Position:
    """Return the position that an entity tag holds; raises `InvalidInputError`."""
    found = _ETAG.fullmatch(etag.strip())
    if found is None or int(found[1]) > POSITION_MAX:
        raise InvalidInputError('must be the ETag of an earlier answer: a position in quotes, as "42"', field=name)
    return Position(int(found[1]))


def etag(position: Position) -> str:
    """Return a position as an entity tag."""
    return f'"{position}"'


def location(request: Request, *parts: str) -> str:
    """Return the path of a resource, of the PKG that a request is about."""
    name = request.scope.get(PKG_NAME)
    before = "" if name is None else f"/pkgs/{quote(name, safe='')}"
    return f"{before}/v1/{'/'.join(quote(part, safe='') for part in parts)}"


async def written(
    slipstream: Slipstream,
    terms: Terms,
    waiting: Waiting,
    change: Callable[[GraphTransaction], T],
    about: RecordKey | None = None,
) -> Done[T]:
    """
    Change a graph in one transaction, on some terms, and wait for the index if they say so.

    `about` is the record that a precondition is about. Raises what the change raises, `InvalidInputError` for a key
    that came with something else before, and `RefusedError` (412) where the record has changed.
    """
    done = await anyio.to_thread.run_sync(lambda: _commit(slipstream, terms, change, about))
    if terms.wait_s is not None:
        done.reached = await waiting.reached(slipstream, done.position, terms.wait_s)
    return done


def answered(response: Response, done: Done[Any], created_at: str | None = None) -> None:
    """Say in the head of an answer at which position the record is now, and where it is if it was created."""
    response.headers["ETag"] = etag(done.position)
    response.status_code = HTTPStatus.OK
    if created_at is not None and not done.is_repeat:
        response.status_code = HTTPStatus.CREATED
        response.headers["Location"] = created_at


def is_unchanged(feed: ChangeFeed, about: RecordKey, since: Position) -> bool:
    """Whether a record is known to be as it was at a position; False where finding out would take long."""
    found = _Unchanged(feed, about, since, _PAGE)
    found.look()
    return found.fault is None


def _commit(
    slipstream: Slipstream, terms: Terms, change: Callable[[GraphTransaction], T], about: RecordKey | None
) -> Done[T]:
    pkg = slipstream.pkg
    unchanged = None
    if about is not None and terms.unchanged_since is not None:
        unchanged = _Unchanged(pkg.feed, about, terms.unchanged_since, LOOKED_BACK_MAX)
        unchanged.look()  # most of the way while nobody waits for this transaction
    with pkg.transaction() as tx:
        if _was_done(tx, terms):
            value, is_repeat = None, True
        else:
            if unchanged is not None:
                unchanged.look()
                unchanged.check()
            if about is not None and terms.is_new:
                _check_new(tx, about)
            value, is_repeat = change(tx), False
    return Done(tx.position, value, is_repeat)


def _was_done(tx: GraphTransaction, terms: Terms) -> bool:
    """Record the key of a write, with what it is for; returns whether it was carried out before."""
    if terms.key is None:
        return False
    is_new = tx.once(f"idempotency-key:{terms.key}")
    is_other = tx.once(f"idempotency-body:{terms.digest}")
    if not is_new and is_other:
        raise InvalidInputError(
            "came with another request before: take a new key for each write, and the same one only to repeat it",
            field="Idempotency-Key",
        )
    return not is_new


def _check_new(tx: GraphTransaction, about: RecordKey) -> None:
    is_entity = about.kind is KeyKind.ENTITY
    if tx.entity(about.id) is not None if is_entity else tx.has_relationship(about.id):
        raise _changed(f"{about.id!r} exists already, and `If-None-Match: *` asks for a new one")


@dataclass(slots=True)
class _Unchanged:
    """Looks through the log behind a position for changes of one record; each look goes on where the last ended."""

    feed: ChangeFeed
    about: RecordKey
    after: Position
    left: int
    """How many entries may still be looked at."""
    fault: RefusedError | None = None

    def look(self) -> None:
        """Look through what has come to the log."""
        if self.after > self.feed.head():
            self.fault = _changed(f"the log has not come to position {self.after}: that is no ETag of this graph")
        while self.fault is None and (entries := self._read()):
            self.left -= len(entries)
            if any(self._is_about(entry) for entry in entries):
                self.fault = _changed(f"{self.about.id!r} has changed since: get it anew, and decide again")
            elif self.left <= 0:
                self.fault = _changed(
                    f"more than {LOOKED_BACK_MAX:,} changes have been committed since: get {self.about.id!r} anew"
                )
            self.after = position_of(entries[-1])

    def check(self) -> None:
        """Raise what was found."""
        if self.fault is not None:
            raise self.fault

    def _read(self) -> Sequence[LogEntry]:
        try:
            return self.feed.read(self.after, _PAGE)
        except PositionLostError:
            self.fault = _changed(
                f"the log no longer reaches back to position {self.after}: get {self.about.id!r} anew, "
                "and send the ETag of that answer"
            )
            return ()

    def _is_about(self, entry: LogEntry) -> bool:
        """Whether an entry is about the record, or may be: a rescan tells nothing."""
        return not isinstance(entry, PKGEvent) or entry.key == self.about


def _changed(detail: str) -> RefusedError:
    return RefusedError(
        HTTPStatus.PRECONDITION_FAILED,
        detail,
        error_class="PreconditionFailedError",
        remedy="get the record anew, and decide again whether to write",
    )


def _digest(request: Request, body: bytes) -> str:
    """Return a digest of what is asked for: the same for JSON that says the same."""
    try:
        said = json.dumps(json.loads(body), sort_keys=True).encode() if body else b""
    except (ValueError, RecursionError):
        said = body  # refused anyway
    key = request.headers["idempotency-key"]
    parts = (key, request.method, request.url.path, said.decode("utf-8", "replace"))
    sized = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(sized.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
