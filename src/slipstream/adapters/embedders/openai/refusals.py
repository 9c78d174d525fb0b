"""What a server's refusal is about, as far as status and text tell; `isolating` finds out the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from slipstream.domain.errors import ConfigError, RateLimitedError, SlipstreamError, UnavailableError

RETRY_AFTER_DEFAULT_S = 5.0
_MAYBE_THE_TEXT = frozenset({400, 413, 422, 424})
_DOWN = frozenset({408, 502, 503, 504})
_FIXES: Mapping[int, str] = MappingProxyType(
    {
        401: "check api_key",
        403: "check what api_key may do",
        404: "check base_url and model",
        405: "check base_url",
        415: "check base_url",
    }
)
_TOO_LONG = re.compile(
    r"too (large|long)|context[ _](length|size|window)|exceed_context|input length|less than \d+ tokens"
    r"|max\w* \D{0,20}tokens",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(
    r"batch|too (many|large)|maximum allowed|exceed|payload|max\w* \d+ (text|input|item)s", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+")
_RATIO_UNTOLD = 0.75
_RATIO_MARGIN = 0.95


class RefusedError(Exception):
    """A server refused a request, or answered nonsense: one text may be at fault, or all of them."""

    def __init__(self, said: str, status: int, body: str = "") -> None:
        super().__init__(said)
        self.status, self._body = status, body

    @property
    def is_too_much(self) -> bool:
        """Whether the request may be too large, so that half of it could succeed."""
        return self.status in (413, 429) or bool(_TOO_MANY.search(self._body))

    @property
    def is_too_long(self) -> bool:
        """Whether a text may be too long."""
        return self.status == 413 or bool(_TOO_LONG.search(self._body))

    @property
    def share(self) -> float:
        """About which share of a text would fit, by the two numbers that such an answer usually holds."""
        numbers = sorted({int(found) for found in _NUMBER.findall(self._body) if len(found) < 10})
        told = _RATIO_MARGIN * numbers[-2] / numbers[-1] if len(numbers) > 1 and numbers[-1] else 0.0
        return told if 0.01 < told < 1 else _RATIO_UNTOLD

    def as_fault_of_all(self) -> SlipstreamError:
        """Return the error for a model that refuses even what every model takes."""
        if self.status >= 500:
            return UnavailableError(f"{self}, whatever the text is")
        return ConfigError(
            f"{self}, whatever the text is: the server is set up for something else than embeddings, or for another "
            "model. Check base_url, model and dimension, and the server's own log; nothing has to be replayed"
        )


class DiedError(UnavailableError):
    """A connection ended, or nothing came, during a request: the request may have killed the server."""


def refusal(said: str, status: int, headers: Mapping[str, str], body: str, texts: int) -> Exception:
    """Return the error that an answer other than 200 means."""
    waits = headers.get("retry-after")
    if status == 429 and not waits and texts > 1:
        return RefusedError(said, status, body)  # some servers always answer this to a request that is too large
    if status == 429 or (status in _DOWN and waits):
        return RateLimitedError(said, retry_after_s=retry_after_s(waits))
    if status in _DOWN:
        return UnavailableError(said)
    if status in _MAYBE_THE_TEXT or status >= 500:
        return RefusedError(said, status, body)
    return ConfigError(f"{said} ({_FIXES.get(status, 'check base_url')})")


def retry_after_s(header: str | None) -> float:
    """Read a Retry-After header: seconds or an HTTP date."""
    if not header:
        return RETRY_AFTER_DEFAULT_S
    try:
        return max(0.0, float(header))
    except ValueError:
        pass  # not a number: a date
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return RETRY_AFTER_DEFAULT_S
