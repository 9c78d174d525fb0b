"""What the journal keeps of an erasure until it is finished: enough to go on wherever it died."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.errors import CorruptionError
from slipstream.domain.journal_names import ERASURE
from slipstream.ports.journal import Journal


class Step(StrEnum):
    """What is to be done next; each is done again when it was cut short."""

    DELETE = "delete"
    FOLLOW = "follow"
    """Wait until the index has followed."""
    SCRUB = "scrub"
    WIPE = "wipe"
    """Nothing kept here tells of the entity any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An unfinished erasure."""

    mark: str
    step: Step
    asked_at: str
    before: int
    """The head of the log when it was asked for."""
    entity_id: str = ""
    """Empty from `WIPE` on, like names and texts."""
    names: Sequence[str] = ()
    texts: Sequence[str] = ()
    neighbours: Sequence[str] = ()
    """Whose texts are to lose its names."""
    reference: str | None = None
    backups: Sequence[str] = ()
    was_there: bool = False
    position: int | None = None
    relationships: int = 0
    neighbours_changed: int = 0
    vectors_removed: int = 0
    places: Sequence[Mapping[str, Any]] = ()

    @property
    def erased(self) -> Erased | None:
        """What is erased; None when that is not known any more."""
        if not self.entity_id:
            return None
        return Erased(self.entity_id, self.mark, tuple(self.names), tuple(self.texts))

    def with_places(self, found: Sequence[Swept]) -> State:
        """Return the state with what was done; a place that is swept again adds to what it said before."""
        places = {place["place"]: dict(place) for place in self.places}
        for each in found:
            before = places.get(each.place, {"removed": 0, "searched": 0})
            told = each.as_dict()
            told["removed"] += before["removed"]
            told["searched"] = max(told["searched"], before["searched"])
            places[each.place] = told
        return replace(self, places=list(places.values()))

    def without_texts(self) -> State:
        """Return what may be kept once everything is scrubbed."""
        return replace(self, step=Step.WIPE, entity_id="", names=(), texts=(), neighbours=())


def load(journal: Journal) -> State | None:
    """Return the unfinished erasure, None when there is none."""
    text = journal.get(ERASURE)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return State(**{**found, "step": Step(found["step"])})
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptionError(
            f"the journal's {ERASURE!r} can not be read: it was written by a newer version, or damaged"
        ) from error


def save(journal: Journal, state: State | None) -> None:
    """Keep the state durably; None: it is finished."""
    journal.set(ERASURE, None if state is None else json.dumps(asdict(state)))
