"""Errors that travel from one process to another come out as what they were."""

from __future__ import annotations

import json

import pytest

from slipstream.app.remote.failures import raised_error, told_error
from slipstream.domain import errors
from slipstream.domain.errors import (
    ConfigError,
    InvalidInputError,
    NeedsConfirmationError,
    NotFoundError,
    RateLimitedError,
    RepairNeedsConfirmationError,
    ReplacementNeedsConfirmationError,
    SlipstreamError,
    UnavailableError,
)

_PLAIN = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type)
    and issubclass(kind, SlipstreamError)
    and kind not in (InvalidInputError, RateLimitedError)
    and not issubclass(kind, NeedsConfirmationError)
]


def _sent(error: BaseException) -> SlipstreamError:
    return raised_error(json.loads(json.dumps(told_error(error))))


@pytest.mark.parametrize("kind", _PLAIN)
def test_every_class_stays_what_it_is(kind: type[SlipstreamError]) -> None:
    found = _sent(kind("what failed: ü"))
    assert type(found) is kind
    assert str(found) == "what failed: ü"


def test_fields_are_kept() -> None:
    refused = _sent(InvalidInputError("must be 1: or 2", field="deep: k"))
    assert isinstance(refused, InvalidInputError)
    assert (str(refused), refused.field) == ("deep: k: must be 1: or 2", "deep: k")
    limited = _sent(RateLimitedError("too fast", retry_after_s=1.5))
    assert isinstance(limited, RateLimitedError)
    assert (str(limited), limited.retry_after_s) == ("too fast", 1.5)
    for kind in (NeedsConfirmationError, RepairNeedsConfirmationError, ReplacementNeedsConfirmationError):
        braked = _sent(kind("too much", plan={"id": "7-0a", "keys": {"orphaned": 300}}))
        assert isinstance(braked, NeedsConfirmationError)
        assert type(braked) is kind
        assert (str(braked), braked.plan) == ("too much", {"id": "7-0a", "keys": {"orphaned": 300}})


def test_a_class_of_an_adapters_own_becomes_the_nearest_known_one() -> None:
    class OutOfOrderError(UnavailableError):
        pass

    found = _sent(OutOfOrderError("down"))
    assert type(found) is UnavailableError


def test_a_missing_key_is_told_in_words() -> None:
    assert str(_sent(NotFoundError("audit 7 is not kept"))) == "audit 7 is not kept"


def test_a_defect_is_an_error_of_ours_that_names_it() -> None:
    found = _sent(ZeroDivisionError("division by zero"))
    assert type(found) is SlipstreamError
    assert "ZeroDivisionError: division by zero" in str(found)


def test_a_class_that_is_not_known_here_is_the_root_of_all() -> None:
    for name in ("NewerError", "KeyError", "os.system", "__class__"):
        found = raised_error({"class": name, "message": "of a newer version"})
        assert type(found) is SlipstreamError
        assert str(found) == f"{name}: of a newer version"


def test_a_subclass_that_takes_the_name_of_a_known_one_is_not_it() -> None:
    fake = type("ConfigError", (UnavailableError,), {})
    found = _sent(fake("down"))
    assert type(found) is UnavailableError
    assert not isinstance(found, ConfigError)
