"""The one place that maps Chroma's errors to ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    DiskFullError,
    InvalidInputError,
    RateLimitedError,
    SlipstreamError,
    UnavailableError,
)

_DAMAGE = (
    *("hnsw", "error getting embedding", "pickle", "malformed", "not a database"),
    *("failed to get segments", "missing field", "could not deserialize"),
)
"""Words in Chroma's internal errors that mean broken files, not a temporary failure."""
_NO_ROOM = ("disk is full", "no space left")
_RETRY_AFTER_S = 1.0


@contextmanager
def mapped_errors(place: str) -> Iterator[None]:
    """Raise our errors in place of Chroma's, naming the directory or the server."""
    import httpx
    from chromadb.errors import ChromaError

    try:
        yield
    except SlipstreamError:
        raise  # InvalidInputError is a ValueError too
    except (ChromaError, httpx.HTTPError, OSError, sqlite3.Error, TypeError, ValueError, OverflowError) as error:
        raise mapped(error, place) from error


def mapped(error: Exception, place: str) -> SlipstreamError:
    """Return what a caller should see instead of an error of chromadb or of its HTTP client."""
    from chromadb import errors as chroma

    text = f"{place}: {type(error).__name__}: {error}"
    if isinstance(error, chroma.RateLimitError):
        return RateLimitedError(f"{text}: too many requests", retry_after_s=_RETRY_AFTER_S)
    if isinstance(error, chroma.AuthorizationError | chroma.ChromaAuthError):
        return ConfigError(f"{text}: access is refused; check the token")
    if isinstance(error, chroma.InternalError) and any(word in str(error).lower() for word in _DAMAGE):
        return CorruptionError(
            f"{text}: files are damaged; close and open the index anew to rebuild them, or delete the directory: "
            "it is filled again"
        )
    if any(word in str(error).lower() for word in _NO_ROOM):
        return DiskFullError(f"{text}: the disk is full; free some space, then try again")
    if _refused(error):
        return InvalidInputError(f"{text}: the value can not be stored or asked for", field="record")
    return UnavailableError(f"{text}: Chroma is not reached, or not as it was; look after it, then try again")


def _refused(error: Exception) -> bool:
    """Return whether the call itself is wrong, so that repeating it is useless."""
    from chromadb.errors import ChromaError, InternalError, NotFoundError

    if isinstance(error, ChromaError):
        return not isinstance(error, InternalError | NotFoundError)  # not found: removed by somebody else
    unreachable = "could not connect" in str(error).lower()  # chromadb says this in a ValueError
    return isinstance(error, TypeError | ValueError | OverflowError) and not unreachable
