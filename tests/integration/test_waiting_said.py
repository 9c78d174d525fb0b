"""A command that waits says what for, and does not wait for ever where it need not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.bootstrap import Options, Wrapping, open_pkg
from slipstream.cli import waiting
from slipstream.cli.context import drain
from slipstream.domain.errors import UnavailableError
from slipstream.service.slipstream import Slipstream
from slipstream.sync.settings import SyncSettings
from slipstream.testing.embedders import HashEmbedder
from slipstream.wrappers.faults import FaultyEmbedder
from tests.integration.incident_world import World


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


def test_an_outage_is_waited_out_for_so_long_and_no_longer(slip: Slipstream, model: Model) -> None:
    status = drain(slip, shown=False, patience_s=0.2)
    assert "the model is down" in (status.outage or "")
    assert status.lag_events > 0
    model.is_down = False
    assert drain(slip, shown=False, patience_s=0.2).lag_events == 0


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
            return self._heard.wait_for(lambda: len(self.lines) >= count, 30)


def test_what_is_waited_for_is_said_once_for_each_outage(slip: Slipstream, model: Model, said: Said) -> None:
    with waiting.telling(slip):
        assert said.has(1)
        drain(slip, shown=False, patience_s=0.2)  # it goes on, and is not said again so soon
        assert len(said.lines) == 1
        model.is_down = False
        drain(slip, shown=False)
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
    assert slip.sync.drain(30)
    with waiting.telling(slip), slip.embedding.calls.under_way("a-model"):
        assert said.has(1)
    assert "'a-model' has been asked, and has not answered for" in said.lines[0]


def test_opening_says_who_has_the_pkg_open(slip: Slipstream, tmp_path: Path, said: Said) -> None:
    with waiting.telling_of_opening(tmp_path / "pkg"):
        assert said.has(1)
    assert "is being opened" in said.lines[0]


def test_a_model_that_hangs_is_waited_for_as_long_as_an_outage(slip: Slipstream, model: Model) -> None:
    model.is_down = False
    assert slip.sync.drain(30)
    model.answers.clear()
    slip.pkg.create_entity("Person", "bob", {"name": "Bob"})
    status = drain(slip, shown=False, patience_s=0.2)
    assert (status.outage, status.lag_events) == (None, 1)
    model.answers.set()
    assert drain(slip, shown=False, patience_s=0.2).lag_events == 0


def test_nothing_is_said_where_nothing_is_waited_for(slip: Slipstream, model: Model, said: Said) -> None:
    model.is_down = False
    assert slip.sync.drain(30)
    with waiting.telling(slip):
        assert slip.search("Ada").hits
        threading.Event().wait(0.3)
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
