"""A command that waits says what for, and does not wait for ever where it need not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.cli import waiting
from slipstream.cli.context import drain
from slipstream.domain.errors import UnavailableError
from slipstream.embedding.calls import Call
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.incident_world import World
from tests.until import LONG_S, until


class Model:
    """A model that is down until it is mended."""

    def __init__(self) -> None:
        self.is_down = True
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self, name: str) -> None:
        assert self.answers.wait(60)
        if self.is_down and name == "embed.before":
            raise UnavailableError("the model is down")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def slip(tmp_path: Path, model: Model) -> Iterator[Slipstream]:
    options = Options(
        embedders=(HashEmbedder(dimension=16),),
        settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02, backoff_max_s=0.05),
        wrapping=Wrapping(embedder=lambda inner: FaultyEmbedder(inner, model)),
    )
    with open_pkg(tmp_path / "pkg", create=True, options=options) as slipstream:
        slipstream.pkg.create_entity("Person", "ada", {"name": "Ada"})
        yield slipstream


def is_down(slip: Slipstream) -> bool:
    return "the model is down" in (slip.status().outage or "")


def test_an_outage_is_waited_out_for_so_long_and_no_longer(slip: Slipstream, model: Model) -> None:
    until(lambda: is_down(slip))
    status = drain(slip, shown=False, patience_s=0.2)
    assert "the model is down" in (status.outage or "")
    assert status.lag_events > 0
    model.is_down = False
    assert drain(slip, shown=False, patience_s=LONG_S).lag_events == 0


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr(waiting, "print_warning", said.hear)
    monkeypatch.setattr(waiting, "_LOOK_S", 0.01)
    monkeypatch.setattr(waiting, "_SILENT_S_MAX", 0.1)
    return said


class Said:
    """What a command has said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._heard = threading.Condition()

    def hear(self, text: str) -> None:
        with self._heard:
            self.lines.append(text)
            self._heard.notify_all()

    def has(self, count: int) -> bool:
        with self._heard:
            return self._heard.wait_for(lambda: len(self.lines) >= count, LONG_S)


class Looks:
    """How often a command has looked at what it waits for."""

    def __init__(self, slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count, self._longest = 0, slip.embedding.calls.longest
        monkeypatch.setattr(slip.embedding.calls, "longest", self._look)

    def _look(self) -> Call | None:
        self._count += 1
        return self._longest()

    def wait(self, more: int) -> None:
        """Wait until so many more have begun, and all but the last have ended."""
        enough = self._count + more
        until(lambda: self._count >= enough)


@pytest.fixture
def looks(slip: Slipstream, monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(slip, monkeypatch)


def test_what_is_waited_for_is_said_once_for_each_outage(
    slip: Slipstream, model: Model, said: Said, looks: Looks
) -> None:
    until(lambda: is_down(slip))
    with waiting.telling(slip):
        assert said.has(1)
        looks.wait(20)  # it goes on, and is not said again so soon
        assert len(said.lines) == 1
        model.is_down = False
        assert slip.sync.drain(LONG_S)
        looks.wait(2)  # that it is over has been seen
        model.is_down = True
        slip.pkg.create_entity("Person", "bob", {"name": "Bob"})
        assert said.has(2)
    assert all("waiting: UnavailableError: the model is down" in text for text in said.lines)
    assert all("next try in" in text and "Ctrl-C ends" in text for text in said.lines)
    assert not any(thread.name == "slipstream-telling" for thread in threading.enumerate())


def test_a_long_outage_is_said_again_ever_more_sparsely(
    slip: Slipstream, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_AGAIN_S", 0.05)
    with waiting.telling(slip):
        assert said.has(3)
    assert len(said.lines) < 20


def test_a_model_that_does_not_answer_is_named(slip: Slipstream, model: Model, said: Said) -> None:
    model.is_down = False
    assert slip.sync.drain(LONG_S)
    with waiting.telling(slip), slip.embedding.calls.under_way("a-model"):
        assert said.has(1)
    assert "'a-model' has been asked, and has not answered for" in said.lines[0]


def test_opening_says_who_has_the_pkg_open(slip: Slipstream, tmp_path: Path, said: Said) -> None:
    with waiting.telling_of_opening(tmp_path / "pkg"):
        assert said.has(1)
    assert "is being opened" in said.lines[0]


@pytest.fixture
def hanging(slip: Slipstream, model: Model) -> Iterator[Slipstream]:
    """One that waits for the answer of its model."""
    model.is_down = False
    assert slip.sync.drain(LONG_S)
    model.answers.clear()
    slip.pkg.create_entity("Person", "bob", {"name": "Bob"})
    until(slip.embedding.calls.longest)
    yield slip
    model.answers.set()


def test_a_model_that_hangs_is_waited_for_as_long_as_an_outage(hanging: Slipstream, model: Model) -> None:
    status = drain(hanging, shown=False, patience_s=0.2)
    assert (status.outage, status.lag_events) == (None, 1)
    model.answers.set()
    assert drain(hanging, shown=False, patience_s=LONG_S).lag_events == 0


def test_patience_begins_with_the_command_however_long_a_model_has_hung_before(
    hanging: Slipstream, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, looks = hanging.embedding.calls, list[Call | None]()
    longest = calls.longest

    def long_ago() -> Call | None:
        call = longest()
        looks.append(call)
        if len(looks) == 2:
            model.answers.set()
        return None if call is None else Call(call.model_id, 1_000_000.0)

    monkeypatch.setattr(calls, "longest", long_ago)
    assert drain(hanging, shown=False, patience_s=LONG_S).lag_events == 0
    assert looks[0] is not None


def test_nothing_is_said_where_nothing_is_waited_for(
    slip: Slipstream, model: Model, said: Said, looks: Looks
) -> None:
    model.is_down = False
    assert slip.sync.drain(LONG_S)
    assert slip.search("Ada").hits
    with waiting.telling(slip):
        looks.wait(20)
    assert said.lines == []


def test_it_goes_on_looking_in_an_incident(tmp_path: Path, said: Said) -> None:
    world = World(tmp_path, "sqlite")
    world.fill()
    world.graph.unlink()
    with world.open() as slip:
        assert slip.incident is not None
        with waiting.telling(slip), slip.embedding.calls.under_way("a-model"):
            assert said.has(1)
    assert "'a-model' has been asked" in said.lines[0]
