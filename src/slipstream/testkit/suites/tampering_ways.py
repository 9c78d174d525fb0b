"""The ways in which the tampering suite damages a store, each with the audit's expected findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from slipstream.domain.models import Space
from slipstream.testkit.suites.tampering_raw import RawStore

FOREIGN_SPACE_ID = "foreign-model"
_PAST_THE_HEAD = 2**50


@dataclass(slots=True)
class Damage:
    """What was done: the divergent keys by class, and ids that no key can name."""

    found: dict[str, set[str]] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)

    def of(self, kind: str, *keys: str) -> Damage:
        """Expect keys in a class."""
        self.found.setdefault(kind, set()).update(keys)
        return self

    def add(self, other: Damage) -> None:
        """Add the expectations of other damage."""
        for kind, keys in other.found.items():
            self.of(kind, *keys)
        self.strays |= other.strays


@dataclass(frozen=True, slots=True)
class Victims:
    """Records to damage: two persons and a relationship between others, all with vectors of `space`."""

    first: str
    second: str
    link: str
    space: Space

    @property
    def foreign_space(self) -> Space:
        """A space of a model that no recipe uses."""
        return Space(FOREIGN_SPACE_ID, "1", self.space.dimension, self.space.generation)

    @property
    def all(self) -> tuple[str, str, str]:
        """Every key."""
        return self.first, self.second, self.link


Way = Callable[[RawStore, Victims], Damage]


def _each(kind: str, damage: Callable[[RawStore, str], None]) -> Way:
    """Damage every victim in the same way."""

    def way(raw: RawStore, victims: Victims) -> Damage:
        for key in victims.all:
            damage(raw, key)
        return Damage().of(kind, *victims.all)

    return way


def _edited(kind: str, name: str, value: object) -> Way:
    return _each(kind, lambda raw, key: raw.edit(key, name, value))


def _foreign_entity(raw: RawStore, victims: Victims) -> Damage:
    ghosts = (f"e:ghost of {victims.first}", f"r:KNOWS:ghost:{victims.second[2:]}", f"r:junk of {victims.first[2:]}")
    for ghost in ghosts:
        raw.insert(ghost, victims.first)
    return Damage().of("orphaned", *ghosts)


def _foreign_from_the_future(raw: RawStore, victims: Victims) -> Damage:
    ghost = f"e:visitor of {victims.first}"
    raw.insert(ghost, victims.first)
    raw.edit(ghost, "position", _PAST_THE_HEAD)
    return Damage().of("orphaned", ghost)


def _foreign_and_incomplete(raw: RawStore, victims: Victims) -> Damage:
    ghost = f"e:torn ghost of {victims.first}"
    raw.insert(ghost, victims.first, without=("fingerprint", "position", "entity_type", "created_at", "checksum"))
    return Damage().of("orphaned", ghost)


def _foreign_id(identity: Callable[[str], str]) -> Way:
    def way(raw: RawStore, victims: Victims) -> Damage:
        stray = identity(victims.first)
        raw.insert(stray, victims.first)
        return Damage(strays={stray})

    return way


def _swapped(raw: RawStore, victims: Victims) -> Damage:
    first, second = raw.vector(victims.first), raw.vector(victims.second)
    raw.put_vector(victims.first, second)
    raw.put_vector(victims.second, first)
    return Damage().of("corrupt", victims.first, victims.second)


def _flipped(raw: RawStore, key: str) -> None:
    vector = raw.vector(key).copy()
    bits = vector.view(np.uint32)
    bits[3] ^= 1  # the smallest change that a float can have
    raw.put_vector(key, vector)


def _buried_in_the_future(raw: RawStore, key: str) -> None:
    raw.delete(key)
    raw.bury(key, _PAST_THE_HEAD)


def _vector(change: Callable[[np.ndarray[tuple[int], np.dtype[np.float32]]], object]) -> Way:
    def damage(raw: RawStore, key: str) -> None:
        raw.put_vector(key, np.asarray(change(raw.vector(key)), dtype=np.float32))

    return _each("corrupt", damage)


WAYS: Mapping[str, Way] = {
    "deleted": _each("missing", lambda raw, key: raw.delete(key)),
    "deleted behind a tombstone of the future": _each("missing", _buried_in_the_future),
    "foreign": _foreign_entity,
    "foreign, from the future": _foreign_from_the_future,
    "foreign, incomplete": _foreign_and_incomplete,
    "foreign, no key": _foreign_id(lambda key: f"no key {key[2:]}"),
    "foreign, kind only": _foreign_id(lambda key: f"{key[0]}:"),
    "fingerprint": _edited("stale", "fingerprint", "forged"),
    "entity type": _edited("stale", "entity_type", "Forger"),
    "source document": _edited("stale", "source_document_id", "forged"),
    "confidence": _edited("stale", "extraction_confidence", 0.123),
    "template version": _edited("stale", "extraction_template_version", "forged"),
    "flag": _edited("stale", "needs_reembedding", True),
    "filter value": _each("stale", lambda raw, key: raw.edit_metadata(key, "city", "Forgerstown")),
    "filter value added": _each("stale", lambda raw, key: raw.edit_metadata(key, "forged", 1)),
    "schema version": _edited("outdated", "schema_version", 1),
    "schema version of the future": _edited("corrupt", "schema_version", 10_000),
    "position past the head": _edited("corrupt", "position", _PAST_THE_HEAD),
    "another space": lambda raw, victims: _each(
        "wrong_model", lambda raw, key: raw.move_to(key, victims.foreign_space)
    )(raw, victims),
    "copied to another space": lambda raw, victims: _each(
        "duplicate", lambda raw, key: raw.copy_to(key, victims.foreign_space)
    )(raw, victims),
    "swapped": _swapped,
    "zero": _vector(np.zeros_like),
    "NaN": _vector(lambda vector: np.full_like(vector, np.nan)),
    "longer": _vector(lambda vector: vector * 3),
    "another dimension": _vector(lambda vector: vector[:-1]),
    "negated": _vector(np.negative),
    "one bit": _each("corrupt", _flipped),
    "no vector": _each("corrupt", lambda raw, key: raw.drop_vector(key)),
    "checksum": _edited("corrupt", "checksum", "0" * 16),
    "no fingerprint": _edited("corrupt", "fingerprint", None),
    "no position": _edited("corrupt", "position", None),
    "no schema version": _edited("corrupt", "schema_version", None),
    "position is text": _edited("corrupt", "position", "later"),
    "time is none": _edited("corrupt", "created_at", 2**62),
    "validated at no time": _edited("corrupt", "last_validated", 2**62),
}
"""By name. Each damages its victims, and returns what an audit must find."""


def damage_each(raw: RawStore, groups: Sequence[Victims], refused: frozenset[str]) -> Damage:
    """Damage a group of its own in every way that the store does not refuse."""
    damage = Damage()
    for victims, (name, way) in zip(groups[: len(WAYS)], WAYS.items(), strict=True):
        if name not in refused:
            damage.add(way(raw, victims))
    return damage
