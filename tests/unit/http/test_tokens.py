"""Tokens: read from lines, and compared so that nothing is told by how long it takes."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest

from slipstream.domain.errors import ConfigError
from slipstream.http.scopes import Scope
from slipstream.http.tokens import LOOK_S, Tokens, read_tokens

READ, ADMIN = "read-0123456789abcdef", "admin-0123456789abcdef"


def test_scopes_are_read_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"\n# a remark\n  read\t{READ}  \nadmin {ADMIN}\r\n")
    assert read_tokens(path) == {READ: Scope.READ, ADMIN: Scope.ADMIN}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no token"),
        ("# only a remark\n", "has no token"),
        (f"read {READ}\n{ADMIN}\n", "neither one token alone"),
        (f"{READ}\n{ADMIN}\n", "neither one token alone"),
        (f"owner {READ}\n", "neither one token alone"),
        (f"READ {READ}\n", "neither one token alone"),
        (f"read {READ} {ADMIN}\n", "neither one token alone"),
        (f"read {READ}\nadmin {READ}\n", "the same token twice"),
        ("read short\n", "at least 16"),
    ],
)
def test_a_file_with_a_mistake_is_refused_and_shows_no_token(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        read_tokens(path)
    assert READ not in str(refused.value)
    assert ADMIN not in str(refused.value)


def test_every_token_is_compared_whatever_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counting(kept: bytes, given: bytes) -> bool:
        compared.append((len(kept), len(given)))
        return compare(kept, given)

    monkeypatch.setattr("slipstream.http.tokens.hmac.compare_digest", counting)
    tokens = Tokens({READ: Scope.READ, ADMIN: Scope.ADMIN})
    for given, scope in ((READ, Scope.READ), (ADMIN, Scope.ADMIN), ("x", None), ("", None), (READ + "x", None)):
        compared.clear()
        assert tokens.scope_of(given) is scope
        assert compared == [(32, 32), (32, 32)]  # no less, and of the same length, for any


def test_the_file_is_looked_at_again_after_a_while_and_not_each_time(tmp_path: Path) -> None:
    path, now = tmp_path / "tokens", [0.0]
    path.write_text(READ)
    tokens = Tokens.of(path, lambda: now[0])
    path.write_text(ADMIN)
    assert tokens.scope_of(READ) is Scope.ADMIN  # one alone may do everything
    now[0] += LOOK_S
    assert tokens.scope_of(READ) is None
    assert tokens.scope_of(ADMIN) is Scope.ADMIN
    path.unlink()
    now[0] += LOOK_S
    assert tokens.scope_of(ADMIN) is None
