"""Views as code, over the real stores: why a record is as it is, and what an edit would do before it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.composition.recipes import edited_recipe
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.app.view_check import _interval
from slipstream.domain.entities import Direction
from slipstream.domain.errors import NotFoundError
from slipstream.domain.keys import KeyKind, entity_key
from slipstream.domain.stamps import Deletion
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View
from slipstream.views.viewset import ViewSet
from tests.integration.logged_time import log_time_of

PERSON = View(
    "Person",
    "{{ name }} at {{ employer|map(attribute='name')|join(', ') }}",
    {"employer": Via("WORKS_AT", Direction.OUT, ("name",))},
)
KNOWS = View("KNOWS", "{{ source.name }} knows {{ target.name }}", is_relationship=True)


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    embedder = HashEmbedder(dimension=16, tokens_max=256)
    clock = ManualClock()  # no load makes it late
    options = Options(views=(PERSON, KNOWS), embedders=(embedder,), clock=clock)
    with open_pkg(tmp_path, config=Config(), options=options) as opened:
        log_time_of(clock, tmp_path)
        with opened.pkg.transaction() as tx:
            tx.create_entity("Company", "acme", {"name": "Acme"})
            for n in range(40):
                tx.create_entity(
                    "Person", f"p{n:02}", {"name": f"person {n}", **({"title": "Dr."} if n < 10 else {})}
                )
            tx.relate("p00", "WORKS_AT", "acme")
            tx.relate("p00", "KNOWS", "p01")
        assert opened.sync.drain(timeout_s=60)
        yield opened


def _committed(slip: Slipstream) -> None:
    assert slip.sync.wait(slip.pkg.feed.head(), timeout_s=60)


def test_a_fresh_record_and_what_its_changes_did(slip: Slipstream) -> None:
    slip.pkg.update_entity("p00", {"phone": "123"})
    _committed(slip)
    slip.pkg.update_entity("acme", {"name": "Acme Ltd"})
    _committed(slip)
    found = slip.explain("p00")
    assert (found.verdict, found.text) == ("fresh", "person 0 at Acme Ltd")
    assert found.stored is not None
    assert found.stored.fingerprint == found.fingerprint
    assert found.neighbours == {"employer": ["e:acme"]}
    assert found.dependencies is not None
    assert "name" in found.dependencies.properties
    newest, older, *_ = found.happenings
    assert (newest.about, newest.changed) == ("Company acme", ("name",))
    assert newest.outcome.startswith("re-embedded, ")
    assert (older.about, older.changed) == ("Person p00", ("phone",))
    assert older.outcome == "nothing that its view shows now has changed"
    assert {h.outcome for h in found.happenings[2:]} >= {"reflected by that vector too"}
    assert found.embedded_for == f"entity_updated of Company acme at position {newest.position}"
    assert found.as_dict()["verdict"] == "fresh"


def test_a_change_that_leaves_the_text_alone_was_compared(slip: Slipstream) -> None:
    slip.pkg.update_entity("p01", {"extraction_confidence": 0.5})
    _committed(slip)
    newest = slip.explain("p01").happenings[0]
    assert newest.outcome == "compared: its text was the same, so nothing was embedded"


def test_what_is_marked_waits_or_is_gone_is_told(slip: Slipstream) -> None:
    slip.sync.stop()
    slip.pkg.update_entity("p02", {"name": "renamed"})
    waiting = slip.explain("p02")
    assert (waiting.verdict, waiting.happenings[0].outcome) == ("pending", "not reflected yet")
    slip.sync.start()
    _committed(slip)
    slip.pkg.delete_entity("p03")
    _committed(slip)
    gone = slip.explain("p03")
    assert (gone.verdict, gone.text, gone.happenings[0].event) == ("no record", None, "entity_deleted")
    with pytest.raises(NotFoundError, match="neither in the graph nor in the index"):
        slip.explain("nobody")
    slip.sync.stop()
    (stamp,) = (s for s in slip.store.index.scan(None, 1_000) if s.key.kind is KeyKind.RELATIONSHIP)
    slip.store.index.restamp([stamp._replace(needs_reembedding=True, reembedding_reason="doubted")])
    marked = slip.explain(stamp.key)
    assert (marked.text, marked.verdict) == ("person 0 knows person 1", "stale")
    assert marked.reasons == ("it is marked to be embedded anew: doubted",)
    assert marked.neighbours == {"source": ["e:p00"], "target": ["e:p01"]}


def test_a_record_that_can_not_be_rendered_says_why(tmp_path: Path) -> None:
    options = Options(views=(View("Person", "{{ age + 1 }}"),), embedders=(HashEmbedder(dimension=16),))
    with open_pkg(tmp_path, config=Config(), options=options) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada", "age": "old"})
        slip.sync.drain(timeout_s=60)
        found = slip.explain("ada")
        assert found.verdict == "dead letter"
        assert "can not be rendered" in found.reasons[0]
        slip.discard_dead_letters()
        assert slip.explain("ada").verdict == "unrenderable"


def _edited(slip: Slipstream, *views: View) -> ViewRecipe:
    return ViewRecipe(ViewSet(views), slip.embedding)


def test_a_check_tells_what_an_edit_would_embed_and_applies_nothing(slip: Slipstream) -> None:
    before = {stamp.key: stamp for stamp in slip.store.index.scan(None, 1_000)}
    template = f"{PERSON.template}{{% if title %}}, {{{{ title }}}}{{% endif %}}"
    edited = _edited(slip, View("Person", template, PERSON.via), KNOWS)
    found = slip.check_views(edited, sample=None)
    by_type = {check.type: check for check in found.types}
    assert sorted(by_type) == ["Company", "KNOWS", "Person"]
    person = by_type["Person"]
    assert (person.records, person.sampled, person.changed, person.restamped) == (40, 40, 10, 30)
    assert (person.changed_low, person.changed_high) == (10, 10)
    assert (by_type["Company"].changed, by_type["KNOWS"].changed, found.texts, found.failed) == (0, 0, 10, 0)
    assert found.tokens > 10
    assert (person.examples[0].before, person.examples[0].after) == ("person 0 at Acme", "person 0 at Acme, Dr.")
    assert {stamp.key: stamp for stamp in slip.store.index.scan(None, 1_000)} == before
    sampled = slip.check_views(edited, sample=20, types=["Person"])
    (person,) = sampled.types
    assert person.sampled == 20
    assert person.changed_low <= 10 <= person.changed_high
    assert slip.check_views(edited, sample=20, types=["Person"]).types == sampled.types, "the same records each time"


def test_a_check_finds_what_fails_is_cut_has_no_text_or_goes(slip: Slipstream) -> None:
    slip.pkg.update_entity("p05", {"name": "word " * 1_500})
    slip.sync.drain(timeout_s=60)
    failing = _edited(slip, View("Person", "{{ name }}{{ title - 1 }}"))
    found = slip.check_views(failing, sample=None)
    person = next(check for check in found.types if check.type == "Person")
    assert found.failed == person.failed > 0
    assert person.examples[0].error is not None
    assert "can not be rendered" in person.examples[0].error
    assert next(check for check in found.types if check.type == "KNOWS").removed == 1
    bare = slip.check_views(_edited(slip, View("Person", "{{ title }}"), KNOWS), sample=None)
    person = next(check for check in bare.types if check.type == "Person")
    assert person.without_text == 30
    long = slip.check_views(_edited(slip, View("Person", "{{ name }}"), KNOWS), sample=None)
    assert next(check for check in long.types if check.type == "Person").truncated == 1


@pytest.mark.parametrize(
    ("hits", "sampled", "records"), [(0, 10, 1_000), (10, 10, 1_000), (3, 10, 1_000), (5, 9, 10)]
)
def test_the_interval_holds_what_was_seen(hits: int, sampled: int, records: int) -> None:
    low, high = _interval(hits, sampled, records)
    assert hits <= low <= high <= records - (sampled - hits)


def test_the_configuration_as_edited_is_the_candidate(tmp_path: Path) -> None:
    with open_pkg(tmp_path, create=True) as slip:
        slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
        slip.sync.drain(timeout_s=60)
        other = tmp_path / "other.toml"
        other.write_text((tmp_path / "slipstream.toml").read_text() + '\n[views.Person]\ntemplate = "{{ name }}!"\n')
        (check,) = slip.check_views(edited_recipe(slip, other)).types
        assert check.examples[0].after == "Ada!"
        (same,) = slip.check_views(edited_recipe(slip)).types
        assert same.changed == 0


def test_a_neighbours_change_that_its_view_does_not_show_is_told_so(slip: Slipstream) -> None:
    slip.pkg.update_entity("acme", {"city": "Springfield"})
    _committed(slip)
    newest = slip.explain("p00").happenings[0]
    assert (newest.about, newest.changed) == ("Company acme", ("city",))
    assert newest.outcome == "nothing that its view shows now has changed"


def test_a_record_that_is_missing_is_not_called_gone(slip: Slipstream) -> None:
    slip.pkg.update_entity("p04", {"name": "again"})
    _committed(slip)
    slip.sync.stop()
    (stamp,) = slip.store.index.stamps([entity_key("p04")])[entity_key("p04")].records
    slip.store.index.delete([Deletion(stamp.key, stamp.position, stamp.space)])
    found = slip.explain("p04")
    assert (found.verdict, found.happenings[0].outcome) == ("missing", "looked at; the index has no record of it")
