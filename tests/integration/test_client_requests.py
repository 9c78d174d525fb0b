"""Long calls of a client: their progress, their end by Ctrl-C, and what a server does that nobody waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import slipstream
from slipstream.app.client.addresses import Address
from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.client.requests import WireRequests
from slipstream.app.client.wire import Wire
from slipstream.app.composition.factories import graph_checks, system_clock
from slipstream.domain.errors import NotFoundError, UnavailableError, UnsupportedError
from slipstream.engine.facts import SyncStatus
from tests.integration.http_admin_world import LONG_S, World, world
from tests.until import until


class _Granted(Wire):
    """A wire that says what it may do, as the server of these tests wants it."""

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return super()._headers({**headers, "X-Scope": "admin"})


@dataclass
class Sides:
    here: World
    slip: RemoteSlipstream


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[Sides]:
    with world(tmp_path) as here:
        wire = _Granted(Address(host="127.0.0.1", port=here.api.port))
        with RemoteSlipstream(wire, system_clock(), graph_checks()) as slip:
            yield Sides(here, slip)


def _last_request(sides: Sides) -> dict[str, Any]:
    """Return the newest request; it is found by making one behind it."""
    newer = sides.here.api.post("/v1/requests", {"operation": "sync.drain", "arguments": {"timeout_s": 0.0}}).ok(202)
    found: dict[str, Any] = sides.here.api.get(f"/v1/requests/{newer['id'] - 1}").ok()
    return found


@pytest.mark.parametrize("how", [KeyboardInterrupt, ZeroDivisionError])
def test_a_call_that_is_given_up_is_cancelled_in_the_server(sides: Sides, how: type[BaseException]) -> None:
    sides.here.embedders[0].fail_with = UnavailableError("the model is down")
    sides.slip.pkg.create_entity("Person", "late", {"name": "late"})
    told: list[int] = []

    def enough(status: SyncStatus) -> None:
        told.append(status.pending)
        if len(told) == 2:
            raise how

    with pytest.raises(how):
        sides.slip.sync.drain(LONG_S, enough)
    asked = _last_request(sides)
    assert (asked["operation"], asked["is_cancelled"]) == ("sync.drain", True)
    until(lambda: sides.here.api.get(f"/v1/requests/{asked['id']}").ok()["state"] == "failed")
    sides.here.embedders[0].fail_with = None
    assert sides.slip.sync.drain(LONG_S)


def test_a_request_that_is_forgotten_is_told(sides: Sides) -> None:
    assert WireRequests(sides.slip.wire).look(10**9) is None
    with pytest.raises(UnavailableError, match="ask again"):
        sides.slip._caller.follow("sync.drain", 10**9, {})


def test_what_is_the_owners_is_refused(sides: Sides) -> None:
    requests = WireRequests(sides.slip.wire)
    for call in (lambda: requests.waiting(0, 1), lambda: requests.begin(1), lambda: requests.answer(1, "{}")):
        with pytest.raises(UnsupportedError, match="engine alone"):
            call()


def test_an_error_of_a_long_call_is_the_one_it_was(sides: Sides) -> None:
    with pytest.raises(NotFoundError, match="audit 10000 "):
        sides.slip.repairer.plan(10_000)


def test_a_long_wait_of_a_search_takes_several_calls(sides: Sides) -> None:
    sides.here.embedders[0].fail_with = UnavailableError("the model is down")
    position = sides.slip.pkg.create_entity("Person", "late", {"name": "late"})
    with pytest.raises(UnavailableError, match=r"within|down"):
        sides.slip.search("late", 1, mode="vector", after=position, timeout_s=0.2)
    sides.here.embedders[0].fail_with = None
    assert sides.slip.search("late", 1, mode="vector", after=position, timeout_s=LONG_S)[0].entity_id == "late"


def test_what_is_done_where_the_files_are_says_so(tmp_path: Path) -> None:
    with slipstream.connect("http://127.0.0.1:9") as slip:  # nobody is asked
        with pytest.raises(UnsupportedError, match="is rehearsed where the PKG is: with"):
            slip.rehearse_import(tmp_path)
        with pytest.raises(UnsupportedError, match="is watched where the PKG is: with"):
            slip.watch_folder(tmp_path, stop=Event())
        with pytest.raises(UnsupportedError, match="pack a folder, or several files, into one zip"):
            slip.import_files(tmp_path)
