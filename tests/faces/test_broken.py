"""Faces that are broken on purpose: each is one that the suite must not pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from slipstream.domain.errors import ConfigError, InvalidInputError, SlipstreamError
from tests.faces import worlds
from tests.faces.suite import FaceSuite
from tests.faces.worlds import Face


class _Broken:
    """A facade, or a part of one, that is right but for what a subclass does."""

    def __init__(self, right: Any) -> None:
        self._right = right

    def __getattr__(self, name: str) -> Any:
        return getattr(self._right, name)


class _WithPkg(_Broken):
    """A facade whose graph is another one."""

    kind: type[_Broken]

    @property
    def pkg(self) -> Any:
        return self.kind(self._right.pkg)


class TellsNoField(_Broken):
    """Raises the class above the right one, as a codec does that knows no fields."""

    def entities(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._right.entities(*args, **kwargs)
        except InvalidInputError as error:
            raise ConfigError(str(error)) from error


class SwallowsErrors(_Broken):
    """Returns nothing where there is nothing."""

    def get(self, entity_id: str) -> Any:
        try:
            return self._right.get(entity_id)
        except SlipstreamError:
            return None


class TellsNoProgress(_Broken):
    """Takes a callback, and never calls it."""

    def verify(self, on_progress: Any = None, **kwargs: Any) -> Any:
        return self._right.verify(**kwargs)


class LosesTheLastItem(_Broken):
    """Ends a page one too early."""

    def neighbours(self, *args: Any, **kwargs: Any) -> Any:
        page = self._right.neighbours(*args, **kwargs)
        return replace(page, items=page.items[:-1])


class LosesTimes(_Broken):
    """Gives times back as text, as plain JSON would."""

    def get(self, entity_id: str) -> Any:
        found = self._right.get(entity_id)
        told = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in found[2].items()}
        return found._replace(properties=told)


class WaitsForNothing(_Broken):
    """Says that every position is there."""

    @property
    def sync(self) -> Any:
        class Sync(_Broken):
            def wait(self, *args: Any) -> bool:
                return True

        return Sync(self._right.sync)


class _OneByOne(_Broken):
    @property
    def position(self) -> Any:
        return self._right.last_commit

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        yield self


class CommitsOneByOne(_WithPkg):
    """Commits each mutation of a transaction by itself."""

    kind = _OneByOne


class _Twice(_Broken):
    def update_entity(self, *args: Any) -> Any:
        position = self._right.update_entity(*args)
        self._right.update_entity(args[0], {"sent": "twice"})
        return position


class SendsTwice(_WithPkg):
    """Repeats what writes."""

    kind = _Twice


BROKEN: dict[type[_Broken], Callable[[FaceSuite, Face], None]] = {
    TellsNoField: lambda suite, face: suite.test_errors_have_their_class_and_their_field(face, "an empty page"),
    SwallowsErrors: lambda suite, face: suite.test_errors_have_their_class_and_their_field(
        face, "an entity that is not there"
    ),
    TellsNoProgress: lambda suite, face: suite.test_tampering_is_found_told_and_repaired(face),
    LosesTheLastItem: lambda suite, face: suite.test_pages_of_entities_and_neighbours(face),
    LosesTimes: lambda suite, face: suite.test_values_come_as_they_are(face),
    WaitsForNothing: lambda suite, face: suite.test_what_never_comes_is_not_waited_for(face),
    CommitsOneByOne: lambda suite, face: suite.test_a_transaction_is_all_or_nothing(face),
    SendsTwice: lambda suite, face: suite.test_changes_are_told_in_their_order(face),
}


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with worlds.opened(tmp_path_factory.mktemp("right")) as face:
        yield face


@pytest.mark.parametrize("kind", BROKEN)
def test_the_suite_fails_for_a_broken_face(kind: type[_Broken], right: Face) -> None:
    face = replace(right, slip=kind(right.slip))
    with pytest.raises((AssertionError, pytest.fail.Exception, ConfigError)):
        BROKEN[kind](FaceSuite(), face)
