"""A problem becomes the error that it was, with all that it carries."""

from __future__ import annotations

import json

import pytest

from slipstream.app.client.answers import Answer, problem_error
from slipstream.domain import errors
from slipstream.domain.errors import (
    IncidentError,
    InvalidInputError,
    NeedsConfirmationError,
    NotFoundError,
    RateLimitedError,
    RepairNeedsConfirmationError,
    ReplacementNeedsConfirmationError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.domain.incidents import IncidentKind, incident
from slipstream.http.problems import problem_of

_INCIDENT = incident(IncidentKind.EMPTY, "the graph is empty")
_ERRORS: list[SlipstreamError] = [
    InvalidInputError("must be 1 to 10", field="k"),
    NotFoundError("there is no entity 'x'"),
    RateLimitedError("slower", retry_after_s=2.5),
    NeedsConfirmationError("look first", plan={"id": "a0"}),
    RepairNeedsConfirmationError("look first", plan={"id": "a1", "deletions": 3}),
    ReplacementNeedsConfirmationError("look first", plan={"id": "a2", "deletions": 4}),
    _INCIDENT.refusal(),
    *(
        kind("what failed: what to do")
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, SlipstreamError)
        and kind not in (InvalidInputError, RateLimitedError)
        and not issubclass(kind, NeedsConfirmationError)
    ),
]


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: type(error).__name__)
def test_what_a_server_raises_is_raised_here(error: SlipstreamError) -> None:
    response = problem_of(error)
    answer = Answer(response.status_code, {}, bytes(response.body))
    with pytest.raises(SlipstreamError) as caught:
        _ = answer.data
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)
    for name in ("field", "retry_after_s", "plan"):
        assert getattr(caught.value, name, None) == getattr(error, name, None)
    if isinstance(error, IncidentError):
        assert isinstance(caught.value, IncidentError)
        assert caught.value.incident == error.incident


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "ConfigError"), (403, "ConfigError"), (404, "NotFoundError"), (413, "QueryLimitError")]
    + [(status, "UnavailableError") for status in (408, 429, 502, 503, 504)]
    + [(418, "SlipstreamError"), (500, "SlipstreamError")],
)
def test_an_error_of_the_server_itself_has_a_class_by_its_status(status: int, kind: str) -> None:
    assert type(problem_error(status, {"detail": "what"})).__name__ == kind
    assert type(problem_error(status, {})).__name__ == kind


def test_only_a_server_that_has_begun_nothing_is_asked_again() -> None:
    busy = json.dumps({"detail": "too much to do"}).encode()
    assert Answer(503, {"retry-after": "1"}, busy).is_refused_for_now
    assert not Answer(503, {}, busy).is_refused_for_now
    assert not Answer(
        503, {"retry-after": "1"}, json.dumps({"class": "UnavailableError"}).encode()
    ).is_refused_for_now
    assert not Answer(200, {"retry-after": "1"}, b"").is_refused_for_now


def test_an_answer_of_something_else_is_told_as_such() -> None:
    with pytest.raises(UnavailableError, match="is this the address of a Slipstream server"):
        _ = Answer(200, {}, b"<html>").data
