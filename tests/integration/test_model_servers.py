"""A whole PKG over servers that refuse, fail, hang or change: whose fault it is, who waits, and what is said."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from tests.conformance.embedder.server import Answer, EmbeddingServer, serving

SETTINGS = SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02, backoff_max_s=0.1)
LONG = "stone " * 100
Opened = Callable[..., AbstractContextManager[Slipstream]]


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with serving() as running:
        yield running


BOTH = pytest.mark.parametrize("opened", ["sqlite", "chroma"], indirect=True)


@pytest.fixture
def opened(tmp_path: Path, server: EmbeddingServer, request: pytest.FixtureRequest) -> Opened:
    """Open a PKG whose towns are embedded by the server, and all else here."""

    def open_it(more: str = "dimension = 64\n", **options: Any) -> AbstractContextManager[Slipstream]:
        index = getattr(request, "param", "sqlite")
        (tmp_path / "slipstream.toml").write_text(
            f'[index]\nadapter = "{index}"\n[models.routes]\nTown = "served"\n[models.openai.served]\n'
            f'base_url = "{server.url}/v1"\ntimeout_s = 20\n{more}'
        )
        used = Options(embedders=(HashEmbedder(dimension=16, id="local"),), settings=SETTINGS)
        return open_pkg(tmp_path, options=used, **options)

    return open_it


def fill(slip: Slipstream, count: int = 20) -> None:
    with slip.pkg.transaction() as tx:
        for number in range(count):
            tx.create_entity("Person", f"p{number}", {"name": f"person {number} likes pebbles"})
            tx.create_entity("Town", f"t{number}", {"name": f"town {number} has pebbles"})


def found(slip: Slipstream, **options: Any) -> set[str]:
    return {hit.entity_id for hit in slip.search("pebbles", 100, mode="vector", **options)}


PEOPLE = {f"p{number}" for number in range(20)}
TOWNS = {f"t{number}" for number in range(20)}


def refusing(status: int, word: str) -> Callable[[dict[str, Any]], Answer | None]:
    return lambda body: (status, {}, "no") if any(word in text for text in body["input"]) else None


@BOTH
def test_one_text_that_is_refused_is_a_dead_letter_with_its_reason(opened: Opened, server: EmbeddingServer) -> None:
    server.fault = refusing(500, "town 7 ")
    with opened() as slip:
        fill(slip)
        assert slip.sync.drain(60)
        assert found(slip) == (PEOPLE | TOWNS) - {"t7"}
        (letter,) = slip.dead_letters.letters(None, 10)
        assert (letter.key, letter.attempts) == (entity_key("t7"), 1)
        assert "answered 500: no" in letter.error
        server.fault = None
        slip.replay_dead_letters([letter.id])
        assert slip.sync.drain(60)
        assert found(slip) == PEOPLE | TOWNS


@pytest.mark.parametrize("status", [400, 401, 422])
def test_when_all_are_refused_it_is_told_and_nothing_has_to_be_replayed(
    opened: Opened, server: EmbeddingServer, status: int
) -> None:
    server.fault = lambda _: (status, {}, "this server does no embeddings")
    with opened() as slip:
        fill(slip)
        with pytest.raises(ConfigError, match="this server does no embeddings"):
            slip.sync.drain(60)
        assert slip.dead_letters.letter_count() == 0
        assert re.search("(19|20) keys wait for it", slip.status().outage or "")  # one may be tried just now
        server.fault = None  # somebody has set it up: whoever waits now has it tried again
        assert slip.sync.drain(60)
        assert found(slip) == PEOPLE | TOWNS
        assert slip.verify().is_consistent


@BOTH
def test_a_model_that_is_down_takes_nothing_from_what_others_embed(opened: Opened, server: EmbeddingServer) -> None:
    with opened() as slip:
        fill(slip)
        assert slip.sync.drain(60)
        server.fault = lambda _: (503, {}, "Loading model")
        later = slip.pkg.create_entity("Town", "new-town", {"name": "a new town with pebbles"})
        last = slip.pkg.create_entity("Person", "new-person", {"name": "a new person with pebbles"})
        results = slip.search("pebbles", 100, mode="vector", after=last, timeout_s=30)
        assert {hit.entity_id for hit in results} == PEOPLE | {"new-person"}
        (unasked,) = results.unasked
        assert (unasked.model_id, unasked.types) == ("served", ("Town",))
        assert "503" in unasked.reason
        assert slip.search("pebbles", mode="vector", entity_type="Person", after=last).unasked == ()
        with pytest.raises(UnavailableError):
            slip.search("never asked before", mode="vector", entity_type="Town")
        with pytest.raises(UnavailableError, match="did not reach"):
            slip.search("pebbles", mode="vector", entity_type="Town", after=later, timeout_s=0.2)
        server.fault = None
        assert slip.sync.drain(60)
        assert found(slip, after=last) == PEOPLE | TOWNS | {"new-person", "new-town"}


def test_a_model_that_hangs_holds_up_no_other(opened: Opened, server: EmbeddingServer) -> None:
    let_go = threading.Event()

    def hang(_: dict[str, Any]) -> Answer | None:
        let_go.wait(60)
        return None

    server.fault = hang
    with opened() as slip:
        try:
            fill(slip)
            for number in range(30):  # lone changes too, each of which the reader would do itself
                last = slip.pkg.update_entity("p0", {"name": f"person 0 has {number} pebbles"})
            assert slip.sync.engine.frontier < last
            hits = _until(
                lambda: slip.search("pebbles", 100, mode="vector", entity_type="Person"), lambda hits: len(hits) == 20
            )
            assert {hit.entity_id for hit in hits} == PEOPLE
            assert not found(slip, entity_type="Person") - PEOPLE
        finally:
            let_go.set()
        assert slip.sync.drain(60)
        assert slip.verify().is_consistent


def _until(look: Callable[[], Any], is_there: Callable[[Any], bool]) -> Any:
    """Look until it is there, with the test's own timeout as the only bound."""
    while not is_there(seen := look()):
        threading.Event().wait(0.02)
    return seen


def test_a_model_of_which_nothing_is_known_yet_and_that_is_down_holds_up_no_other(
    opened: Opened, server: EmbeddingServer
) -> None:
    server.fault = lambda _: (503, {}, "Loading model")
    with opened("") as slip:
        fill(slip)
        head = slip.pkg.feed.head()
        results = _until(
            lambda: slip.search("pebbles", 100, mode="vector", entity_type="Person"), lambda hits: len(hits) == 20
        )
        assert {hit.entity_id for hit in results} == PEOPLE
        assert slip.sync.engine.frontier < head
        assert slip.dead_letters.letter_count() == 0
        server.fault = None
        assert slip.sync.drain(60)
        assert found(slip) == PEOPLE | TOWNS
    with opened("") as slip:
        assert slip.sync.drain(60)
        assert slip.verify().is_consistent


def test_a_text_that_was_cut_has_its_share_on_record(opened: Opened, server: EmbeddingServer) -> None:
    def short(body: dict[str, Any]) -> Answer | None:
        given = max(len(text.split()) for text in body["input"])
        return (400, {}, f"maximum context length is 50 tokens, you gave {given}") if given > 50 else None

    server.fault = short
    with opened() as slip:
        slip.pkg.create_entity("Town", "long", {"name": LONG})
        slip.pkg.create_entity("Town", "short", {"name": "pebbles"})
        assert slip.sync.drain(60)
        assert slip.dead_letters.letter_count() == 0
        assert 0.3 < _quality(slip, "long") < 0.51
        assert _quality(slip, "short") is None
    with opened() as slip:  # the cache must not make it whole
        slip.pkg.create_entity("Town", "long-2", {"name": LONG})
        assert slip.sync.drain(60)
        assert _quality(slip, "long-2") == _quality(slip, "long")
        assert slip.verify().is_consistent


def test_by_setting_the_beginning_is_embedded_and_the_share_is_on_record(opened: Opened) -> None:
    with opened("dimension = 64\ncharacters_max = 60\n") as slip:
        slip.pkg.create_entity("Town", "long", {"name": LONG})
        assert slip.sync.drain(60)
        assert _quality(slip, "long") == pytest.approx(0.1, rel=0.01)


def _quality(slip: Slipstream, name: str) -> Any:
    (stamp,) = slip.store.index.stamps([entity_key(name)])[entity_key(name)].records
    return stamp.embedding_quality_score


@BOTH
def test_weights_that_were_replaced_under_an_old_name_are_noticed(opened: Opened, server: EmbeddingServer) -> None:
    with opened() as slip:
        fill(slip)
        assert slip.sync.drain(60)
    server.embedder = HashEmbedder(version="another file")
    with opened() as slip:
        slip.pkg.create_entity("Town", "new-town", {"name": "a new town with pebbles"})
        with pytest.raises(ConfigError, match=r"weights behind its name were replaced.*slipstream migrate start"):
            slip.sync.drain(60)
        assert "new-town" not in found(slip)
        results = slip.search("never asked before", 100, mode="vector")
        assert {hit.entity_id for hit in results} == PEOPLE
        assert "replaced" in results.unasked[0].reason
    server.embedder = HashEmbedder()
    with opened() as slip:
        assert slip.sync.drain(60)
        assert slip.verify().is_consistent


def test_another_version_is_another_model(opened: Opened) -> None:
    with opened() as slip:
        fill(slip)
        assert slip.sync.drain(60)
    with pytest.raises(ConfigError, match=r"another one under its old id|other models than the index"):
        opened('dimension = 64\nversion = "2"\n').__enter__()


@pytest.mark.parametrize("part", ["?key=sk-very-secret", "#sk-very-secret"])
def test_a_key_in_the_address_is_refused_and_shown_nowhere(opened: Opened, part: str, tmp_path: Path) -> None:
    with opened() as slip:
        fill(slip, 1)
        assert slip.sync.drain(60)
    config = tmp_path / "slipstream.toml"
    config.write_text(config.read_text().replace('/v1"', f'/v1{part}"'))
    options = Options(embedders=(HashEmbedder(dimension=16, id="local"),), settings=SETTINGS)
    with pytest.raises(ConfigError, match="model 'served': base_url must end before") as caught:
        open_pkg(tmp_path, options=options)
    assert "secret" not in str(caught.value)
