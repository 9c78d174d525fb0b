"""
The tampering suite of word rows: damages them past their adapter, and requires every audit to find exactly that.

An adapter's test file subclasses `WordsTamperingSuite`, opens its rows, and gives raw access to them (`RawWords`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import pytest

from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.words import WordFields, word_row
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordRows
from slipstream.testkit.suites.words_world import ROWS, WordsWorld, words_found

PAST_THE_HEAD = 2**50
_VICTIM, _LINK = "e:p07", "r:KNOWS:p58:p59"


class RawWords(ABC):
    """Word rows by the vendor's own client, past the adapter; keys are encoded. What is done is durable at once."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a row with all that belongs to it."""

    @abstractmethod
    def drop_texts(self, key: str) -> None:
        """Remove the texts of a row, and leave the rest of it."""

    @abstractmethod
    def edit(self, key: str, name: str, value: object) -> None:
        """Set `entity_type`, `position`, `digest`, `name`, `aliases` or `body` of a row, and nothing else."""

    @abstractmethod
    def rename(self, key: str, folded: str | None) -> None:
        """Make an exact name of a row another one (None: remove it), and nothing else."""


Way = Callable[[RawWords, WordsWorld], Mapping[str, set[str]]]


def _edited(name: str, value: object, kind: str = "word_corrupt") -> Way:
    def way(raw: RawWords, _: WordsWorld) -> Mapping[str, set[str]]:
        for key in (_VICTIM, _LINK):
            raw.edit(key, name, value)
        return {kind: {_VICTIM, _LINK}}

    return way


def _deleted(raw: RawWords, _: WordsWorld) -> Mapping[str, set[str]]:
    for key in (_VICTIM, _LINK):
        raw.delete(key)
    return {"word_missing": {_VICTIM, _LINK}}


def _without_texts(raw: RawWords, _: WordsWorld) -> Mapping[str, set[str]]:
    raw.drop_texts(_VICTIM)
    return {"word_corrupt": {_VICTIM}}


def _renamed(folded: str | None) -> Way:
    def way(raw: RawWords, _: WordsWorld) -> Mapping[str, set[str]]:
        raw.rename(_VICTIM, folded)
        return {"word_corrupt": {_VICTIM}}

    return way


def _outdated(raw: RawWords, world: WordsWorld) -> Mapping[str, set[str]]:
    row = world.words.rows([entity_key("p07")])[entity_key("p07")]
    world.words.put([word_row(row.key, row.position, WordFields("Person", "p07", "somebody of the past"))])
    raw.edit(_VICTIM, "position", 3)
    return {"word_stale": {_VICTIM}}


def _foreign(raw: RawWords, world: WordsWorld) -> Mapping[str, set[str]]:
    ghosts = [entity_key("ghost"), entity_key("ghost of the future")]
    world.words.put([word_row(key, Position(1), WordFields("Person", key.id, key.id)) for key in ghosts])
    raw.edit("e:ghost of the future", "position", PAST_THE_HEAD)
    return {"word_orphaned": {key.encode() for key in ghosts}}


WAYS: Mapping[str, Way] = {
    "deleted": _deleted,
    "foreign": _foreign,
    "outdated": _outdated,
    "type": _edited("entity_type", "Forger"),
    "position past the head": _edited("position", PAST_THE_HEAD),
    "digest": _edited("digest", b"forged digest 16"),
    "name": _edited("name", "forger"),
    "aliases": _edited("aliases", "forger"),
    "body": _edited("body", "forged"),
    "no texts": _without_texts,
    "exact name": _renamed("forger"),
    "exact name gone": _renamed(None),
}
"""By name. Each damages rows, and returns what an audit must find."""
COUNTED = ("deleted", "foreign")
"""Those that an incremental audit finds too: there are not as many rows as there should be."""


class WordsTamperingSuite(ABC):
    """What an audit must find in word rows, and a repair must mend, whatever store they are in."""

    @pytest.fixture
    @abstractmethod
    def rows(self) -> tuple[WordRows, Journal]:
        """Return empty word rows, and the journal in whose transactions they are written; the fixture closes them."""

    @abstractmethod
    def raw(self, rows: WordRows) -> AbstractContextManager[RawWords]:
        """Open the same rows with the vendor's own client."""

    def wrap(self, rows: WordRows) -> WordRows:
        """Wrap the audited rows; for suites that must fail."""
        return rows

    @pytest.fixture
    def world(self, rows: tuple[WordRows, Journal]) -> WordsWorld:
        found = WordsWorld(self.wrap(rows[0]), rows[1])
        found.follow()
        report = found.auditor.audit()
        assert words_found(report) == {}
        assert report.words is not None
        assert (report.words.expected, report.words.held, report.words.fresh) == (ROWS, ROWS, ROWS)
        assert report.words.graph == report.words.index
        return found

    @pytest.mark.parametrize("name", WAYS)
    def test_damage_is_found_with_its_class_and_repaired(
        self, rows: tuple[WordRows, Journal], world: WordsWorld, name: str
    ) -> None:
        with self.raw(rows[0]) as raw:
            wanted = WAYS[name](raw, world)
        report = world.auditor.audit()
        assert words_found(report) == wanted
        assert report.verdict == "divergent"
        assert not any(report.divergences.values())
        assert report.consistency is not None
        assert report.consistency < 1.0
        result = world.repairer.repair(report.kept_id)
        assert result.marked == {kind: len(keys) for kind, keys in wanted.items()}
        assert world.repairer.verify(result).is_consistent
        after = world.auditor.audit()
        assert words_found(after) == {}
        assert after.words is not None
        assert (after.words.held, after.words.graph) == (ROWS, after.words.index)
        assert after.consistency == 1.0
        assert world.repairer.repair(after.kept_id).keys == 0

    @pytest.mark.parametrize("name", WAYS)
    def test_an_incremental_audit_finds_what_it_says_it_does(
        self, rows: tuple[WordRows, Journal], world: WordsWorld, name: str
    ) -> None:
        with self.raw(rows[0]) as raw:
            wanted = WAYS[name](raw, world)
        report = world.auditor.audit_changes()
        assert report.kind == "incremental"
        assert words_found(report) == (wanted if name in COUNTED else {})
        assert report.words is not None
        assert report.words.looked == ("all" if name in COUNTED else "changed")
        again = world.auditor.audit_changes()  # what is known already explains the count
        assert words_found(again) == words_found(report)
        assert again.words is not None
        assert (again.words.looked, again.words.is_counted) == ("changed", True)

    def test_everything_at_once(self, rows: tuple[WordRows, Journal], world: WordsWorld) -> None:
        with self.raw(rows[0]) as raw:
            for way in (_foreign, _edited("body", "forged"), _without_texts):
                way(raw, world)
            raw.delete("e:p00")
        report = world.auditor.audit()
        assert words_found(report) == {
            "word_orphaned": {"e:ghost", "e:ghost of the future"},
            "word_corrupt": {_VICTIM, _LINK},
            "word_missing": {"e:p00"},
        }
        assert words_found(world.auditor.audit_changes()) == words_found(report), "it stands until it is mended"
        world.repairer.repair(report.kept_id)
        assert words_found(world.auditor.audit()) == {}
