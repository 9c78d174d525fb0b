"""Tokens, and what their bearers may do."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from slipstream.domain.errors import ConfigError
from slipstream.http.scopes import Scope

logger = logging.getLogger(__name__)

TOKEN_CHARACTERS_MIN = 16
LOOK_S = 1.0
"""How often the file of tokens is looked at: a token that was taken out of it ends within this time."""
_SCOPES = {scope.name.lower(): scope for scope in Scope}


def read_tokens(path: Path) -> Mapping[str, Scope]:
    """
    Return the tokens in a file: one alone may do everything; or lines `read TOKEN`, `write TOKEN`, `admin TOKEN`.

    Raises `ConfigError` when there is none, or one that could be guessed.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the token file {path} can not be read ({error}): put one line of text into it") from error
    wanted = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if len(wanted) == 1 and len(wanted[0]) == 1:
        return {checked_token(wanted[0][0], f"the token in {path}"): Scope.ADMIN}
    found: dict[str, Scope] = {}
    for words in wanted:
        if len(words) != 2 or words[0] not in _SCOPES:
            raise ConfigError(
                f"the token file {path} has a line that is neither one token alone nor `read`, `write` or `admin` "
                "and a token: make one with `openssl rand -hex 32`"
            )
        token = checked_token(words[1], f"a token in {path}")
        if token in found:
            raise ConfigError(f"the token file {path} has the same token twice: give each scope its own")
        found[token] = _SCOPES[words[0]]
    if not found:
        raise ConfigError(f"the token file {path} has no token: make one with `openssl rand -hex 32`")
    return found


def checked_token(token: str, what: str) -> str:
    """Return a token; raises `ConfigError` for one that could be guessed, or that no header can carry."""
    if len(token) < TOKEN_CHARACTERS_MIN or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"{what} must be at least {TOKEN_CHARACTERS_MIN} printable ASCII characters without spaces: "
            "make one with `openssl rand -hex 32`"
        )
    return token


class Tokens:
    """The tokens in force; from a file, which is looked at again and again."""

    def __init__(
        self, tokens: Mapping[str, Scope], path: Path | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._now = path, now
        self._lock = threading.Lock()
        self._kept: dict[bytes, Scope] = {}
        self._take(tokens)
        self._seen, self._looked_at = self._state(), now()

    @classmethod
    def of(cls, path: Path, now: Callable[[], float] = time.monotonic) -> Tokens:
        """Return the tokens of a file; warns when others may read it."""
        tokens = read_tokens(path)
        if path.stat().st_mode & 0o077:
            logger.warning("the token file %s can be read by other users: chmod 600 it", path)
        return cls(tokens, path, now)

    def scope_of(self, given: str) -> Scope | None:
        """Return what the bearer of a token may do, None for no token of ours; takes as long for every token."""
        self._look()
        digest, found = _digest(given), None
        for kept, scope in self._kept.items():
            if hmac.compare_digest(kept, digest):
                found = scope
        return found

    def reload(self) -> None:
        """
        Read the file again.

        While it can not be used, no token is in force: one that was to be taken out must not stay because of another
        mistake in the file.
        """
        if self._path is None:
            return
        try:
            self._take(read_tokens(self._path))
        except ConfigError as error:
            self._kept = {}
            logger.error("no token is in force until the file is right again: %s", error)  # noqa: TRY400

    def _look(self) -> None:
        with self._lock:
            if self._path is None or self._now() - self._looked_at < LOOK_S:
                return
            self._looked_at, state = self._now(), self._state()
            if state != self._seen:
                self._seen = state
                self.reload()

    def _take(self, tokens: Mapping[str, Scope]) -> None:
        self._kept = {_digest(token): scope for token, scope in tokens.items()}

    def _state(self) -> tuple[int, int, int] | None:
        if self._path is None:
            return None
        try:
            told = self._path.stat()
        except OSError:
            return None
        return told.st_ino, told.st_mtime_ns, told.st_size


def _digest(token: str) -> bytes:
    """Return a digest: of equal length for all, and nothing that a dump of memory would give away."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
