"""What alerts say of an erased entity leaves what is kept and what is still to be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from slipstream.adapters.alerts.memory_file import AlertFile
from slipstream.domain.erasure import Erased, mark_of
from slipstream.domain.errors import UnavailableError
from slipstream.ports.alerts import AlertEvent
from slipstream.report.alerts import Alerts, AlertThresholds, Measurements
from slipstream.testkit.clock import ManualClock

MARK = mark_of("quokka-41", "0" * 16)
ERASED = Erased("quokka-41", MARK, names=("Zyxilda",))
SAID = "the writer died: KeyError('quokka-41') at Zyxilda"
GOOD = Measurements(lag_s=0.0, dead_letters=0, consistency=1.0, scrub_age_s=60.0, disk_free_mb=5_000.0)


class Inbox:
    """A sink that takes nothing while it is down."""

    def __init__(self) -> None:
        self.is_down = True
        self.told: list[str] = []

    def notify(self, event: AlertEvent) -> None:
        if self.is_down:
            raise UnavailableError("down")
        self.told.append(event.message)


class Place:
    def __init__(self, path: Path) -> None:
        self.file, self.clock, self.inbox = AlertFile(path, lambda: True), ManualClock(), Inbox()

    def start(self) -> Alerts:
        return Alerts(self.file, self.clock, AlertThresholds(for_s=0.0), {"inbox": self.inbox})

    def kept(self) -> str:
        return self.file.get("alerts") or ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "alerts")


def _firing(place: Place) -> Alerts:
    alerts = place.start()
    place.clock.advance(1.0)
    assert alerts.evaluate(replace(GOOD, engine=SAID))
    assert SAID in place.kept()
    return alerts


def test_the_mark_stands_in_what_fires_and_in_what_is_still_to_be_told(place: Place) -> None:
    alerts = _firing(place)
    swept = alerts.scrub(ERASED)
    assert (swept.place, swept.searched, swept.removed) == ("messages of alerts", 2, 2)  # it fires, and is to be told
    assert not ERASED.is_told_in(place.kept())
    assert MARK in alerts.firing()["engine"].message
    place.inbox.is_down = False
    place.clock.advance(60.0)
    alerts.deliver()
    (said,) = place.inbox.told
    assert MARK in said
    assert not ERASED.is_told_in(said)
    assert place.start().firing().keys() == {"engine"}, "it goes on, over a restart too"


def test_no_byte_of_what_was_kept_before_is_left(place: Place, tmp_path: Path) -> None:
    alerts = _firing(place)
    alerts.scrub(ERASED)
    held = (tmp_path / "alerts").read_bytes()
    half = len(held) // 2
    slots = [held[:half], held[half:]]
    # A slot is its digest, its number and its text, and zeros: both have the one text that is kept now.
    assert slots[0][24:].rstrip(b"\0") == slots[1][24:].rstrip(b"\0")
    assert not ERASED.is_told_in(AlertFile(tmp_path / "alerts", lambda: True).get("alerts"))


def test_a_longer_text_leaves_no_end_behind_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "alerts"
    file = AlertFile(path, lambda: True)
    for text in ("".join(f"{number} of a long text;" for number in range(500)), "short", "short"):
        file.set("alerts", text)
    assert len(path.read_bytes()[: 128 * 1024].rstrip(b"\0")) < 100
    assert len(path.read_bytes()[128 * 1024 :].rstrip(b"\0")) < 100


def test_a_rehearsal_counts_and_changes_nothing(place: Place) -> None:
    alerts = _firing(place)
    assert alerts.scrub(ERASED, rehearse=True).removed == 2
    assert alerts.firing()["engine"].message.endswith(SAID)
    assert SAID in place.kept()


def test_what_tells_of_somebody_else_stays(place: Place) -> None:
    alerts = _firing(place)
    assert alerts.scrub(Erased("wombat-12", mark_of("wombat-12", "0" * 16))).removed == 0
    assert SAID in place.kept()


def test_what_can_not_be_kept_is_raised_and_can_be_asked_for_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = _firing(place)

    def fails(*_: object) -> None:
        raise UnavailableError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(place.file, "set", fails)
        with pytest.raises(UnavailableError, match="no room"):
            alerts.scrub(ERASED)
    alerts.scrub(ERASED)
    assert not ERASED.is_told_in(place.kept())


def test_alerts_that_can_not_be_read_are_not_passed_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    _firing(place)

    def fails(*_: object) -> str:
        raise UnavailableError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(place.file, "get", fails)
        alerts = place.start()
        with pytest.raises(UnavailableError, match="can not be read now"):
            alerts.scrub(ERASED)
    assert alerts.scrub(ERASED).removed == 2
    assert not ERASED.is_told_in(place.kept())
