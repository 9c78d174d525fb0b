"""Erasures that are asked for: over HTTP, by a connected client, and by a process that does not run the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.client.addresses import Address
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.client.wire import Wire
from slipstream.app.composition.factories import graph_checks, system_clock
from slipstream.app.remote.guest import GuestSlipstream
from slipstream.domain.errors import ConfigError, InvalidInputError, NotFoundError
from slipstream.signing.documents import verify
from tests.integration.erasure_world import ID, MENTION, VIEWS, WORDS, fill, is_known, opened, traces
from tests.integration.http_admin_world import World, world

ERASURES = "/v1/erasures"
RELATIONSHIPS = 9


class _As(Wire):
    """A wire that says what it may do, as the server of these tests wants it."""

    scope = "admin"

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return super()._headers({**headers, "X-Scope": self.scope})


class _AsWriter(_As):
    scope = "write"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "pkg", fill=fill, views=VIEWS) as made:
        assert traces(made.directory), "a test of nothing"
        yield made


def _client(here: World, kind: type[_As] = _As) -> RemoteSlipstream:
    return RemoteSlipstream(kind(Address(host="127.0.0.1", port=here.api.port)), system_clock(), graph_checks())


def _nothing_has_changed(here: World, head: int) -> None:
    assert here.slipstream.pkg.feed.head() == head
    assert is_known(here.slipstream)
    assert not (here.directory / "receipts").exists()


# ------------------------------------------------------------------ over HTTP


def test_it_leaves_every_file_and_the_receipt_is_answered(here: World) -> None:
    body = {"entity_id": ID, "with_neighbours_text": True, "reference": "ticket 12"}
    receipt = here.api.post(ERASURES, body | {"wait_s": 30}).ok()["receipt"]
    verify(receipt)
    assert (receipt["was_there"], receipt["relationships"]) == (True, RELATIONSHIPS)
    assert (receipt["neighbours_changed"], receipt["reference"]) == (1, "ticket 12")
    assert not is_known(here.slipstream)
    assert here.api.get(f"/v1/entities/{ID}").status == HTTPStatus.NOT_FOUND
    assert here.api.post("/v1/search", {"text": "Zyxilda fnordwort", "k": 10}).ok()["hits"][0]["entity_id"] != ID
    assert traces(here.directory) == []
    again = here.api.post(ERASURES, {"entity_id": receipt["entity"]}).ok()["receipt"]
    assert again == receipt, "asked for again by what stands for the id"
    assert here.slipstream.verify().is_consistent


def test_what_is_not_waited_for_goes_on_as_a_request(here: World) -> None:
    accepted = here.api.post(ERASURES, {"entity_id": ID, "with_neighbours_text": True, "wait_s": 0})
    begun = accepted.ok(HTTPStatus.ACCEPTED)
    told = here.api.get(f"{accepted.headers['location']}?wait_s=30").ok()
    assert (told["id"], told["state"]) == (begun["id"], "done")
    assert traces(here.directory) == [], "the request that asked for it is emptied, too"


def test_a_dry_run_is_counted_without_a_signature(here: World) -> None:
    here.drain()
    head = here.slipstream.pkg.feed.head()
    told = here.api.post(ERASURES, {"entity_id": ID, "dry_run": True, "with_neighbours_text": True}).ok()["receipt"]
    assert (told["was_there"], told["relationships"], told["neighbours_changed"]) == (True, RELATIONSHIPS, 1)
    assert sum(place["removed"] for place in told["places"]) > RELATIONSHIPS
    assert "signature" not in told
    _nothing_has_changed(here, head)


def test_an_id_that_nothing_knows_gets_a_receipt(here: World) -> None:
    receipt = here.api.post(ERASURES, {"entity_id": "nobody-of-this-name"}).ok()["receipt"]
    assert (receipt["was_there"], receipt["relationships"], receipt["position"]) == (False, 0, None)
    assert is_known(here.slipstream)
    assert traces(here.directory, ["nobody-of-this-name"]) == []


@pytest.mark.parametrize(
    ("scope", "status"),
    [("", HTTPStatus.UNAUTHORIZED), ("read", HTTPStatus.FORBIDDEN), ("write", HTTPStatus.FORBIDDEN)],
)
def test_it_takes_the_right_of_an_administrator(here: World, scope: str, status: int) -> None:
    head = here.slipstream.pkg.feed.head()
    for body in ({"entity_id": ID}, {"entity_id": ID, "dry_run": True}, {}):
        assert here.api.post(ERASURES, body, scope=scope).status == status
    asked = {"operation": "erase", "arguments": {"entity_id": ID}}
    assert here.api.post("/v1/requests", asked, scope=scope).status == status, "nor by the way of requests"
    _nothing_has_changed(here, head)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "entity_id"),
        ({"entity_id": ""}, "entity_id"),
        ({"entity_id": ID, "also": ["abc"]}, "also"),
        ({"entity_id": ID, "reference": ""}, "reference"),
        ({"entity_id": ID, "reference": "x" * 201}, "reference"),
        ({"entity_id": ID, "dry_run": "no"}, "dry_run"),
        ({"entity_id": ID, "dry-run": True}, "dry-run"),
        ({"entity_id": ID, "backups": ["/"]}, "backups"),  # a client names no folders of the server
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(here: World, body: dict[str, Any], field: str) -> None:
    head = here.slipstream.pkg.feed.head()
    refused = here.api.post(ERASURES, body)
    assert (refused.status, field in refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, True)
    _nothing_has_changed(here, head)


# ------------------------------------------------------------------ by a connected client


def test_a_client_erases_and_has_the_receipt(here: World) -> None:
    with _client(here) as slip:
        with pytest.raises(InvalidInputError, match="reference"):
            slip.erase(ID, reference="")
        told = slip.erase(ID, dry_run=True)
        assert (told.was_there, told.relationships, told.receipt) == (True, RELATIONSHIPS, None)
        done = slip.erase(ID, with_neighbours_text=True, reference="ticket 12")
        assert (done.relationships, done.neighbours_changed, done.reference) == (RELATIONSHIPS, 1, "ticket 12")
        verify(done.document)
        assert slip.erase(done.mark).document == done.document
        assert not slip.erase(ID).was_there
    assert traces(here.directory) == []


def test_a_client_without_the_right_is_refused(here: World) -> None:
    head = here.slipstream.pkg.feed.head()
    with _client(here, _AsWriter) as slip:
        for dry_run in (True, False):
            with pytest.raises(ConfigError, match="wider scope"):
                slip.erase(ID, dry_run=dry_run)
    _nothing_has_changed(here, head)


# ------------------------------------------------------------------ by a guest


def test_a_guest_has_it_erased_by_whoever_runs_the_engine(tmp_path: Path) -> None:
    with opened(tmp_path) as owner:
        fill(owner)
        with opened(tmp_path) as guest:
            assert isinstance(guest, GuestSlipstream)
            with pytest.raises(InvalidInputError, match="also"):
                guest.erase(ID, also=["abc"])
            told = guest.erase(ID, dry_run=True)
            assert (told.relationships, told.receipt, is_known(owner)) == (RELATIONSHIPS, None, True)
            done = guest.erase(ID, also=[MENTION], reference="ticket 12")
            assert done.receipt is not None
            assert Path(done.receipt).parent == tmp_path / "receipts"
            assert (done.was_there, done.relationships, done.reference) == (True, RELATIONSHIPS, "ticket 12")
            assert not is_known(owner)
            assert guest.erase(done.mark).document == done.document
            assert not guest.erase("nobody-of-this-name").was_there
            with pytest.raises(NotFoundError, match="there is no receipt"):
                guest.erase(f"{done.mark[:-1]}{'0' if done.mark[-1] != '0' else '1'}")
            assert [word for word in WORDS if traces(tmp_path, [word])] == ["Zyxilda"], "which a neighbour says"
            assert guest.erase(ID, with_neighbours_text=True).was_there is False
