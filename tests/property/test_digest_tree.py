"""The digest tree against the naive comparison, over adversarial keys, differences and terms that collide."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.segments import SEGMENT_SIZE_MAX, Segments
from slipstream.audit.classes import Head
from slipstream.audit.findings import RowsRead
from slipstream.audit.leaves import LEAF_SIZE, Leaves, LeavesBuilder, LeavesMark
from slipstream.audit.pacing import SteadyPace
from slipstream.audit.scanned import scanned
from slipstream.audit.tree import DigestTree, descend
from slipstream.domain.audits import LeafHead
from slipstream.domain.digests import (
    Digest,
    KeyRange,
    RangeDigest,
    damaged_vectors,
    digests_by_type,
    stamp_term,
    total_of,
)
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp
from slipstream.testkit.records import SPACE, make_record
from tests.depth import examples

Side = dict[str, tuple[str, int]]
"""Key -> (type, term)."""

# Keys that share long prefixes, that lie on both sides of the surrogates, and that are prefixes of each other.
awkward = st.one_of(
    st.text(alphabet="ab", min_size=1, max_size=4).map(lambda text: "e:" + "x" * 200 + text),
    st.text(alphabet="a\x00\x1f~\x7f\u0080\u07ff\uffff\U00010000\U0010ffff", min_size=1, max_size=3).map(
        "e:".__add__
    ),
    st.integers(0, 400).map(lambda number: f"e:n{number:05}"),
    st.integers(0, 50).map(lambda number: f"r:KNOWS:a{number}:b"),
)
# Few terms, so that records collide in them; large ones, so that sums pass the modulus.
terms = st.one_of(st.integers(0, 3), st.integers((1 << 128) - 3, (1 << 128) - 1))
sides = st.dictionaries(awkward, st.tuples(st.sampled_from(["A", "B"]), terms), max_size=60)


class Held:
    """The index's side as a plain dictionary, which counts what it is asked."""

    def __init__(self, records: Side) -> None:
        self.records = records
        self.asked = 0

    def digests(self, ranges: Sequence[KeyRange]) -> Sequence[RangeDigest]:
        self.asked += len(ranges)
        return [RangeDigest(digests_by_type(self.within(bounds).values())) for bounds in ranges]

    def within(self, bounds: KeyRange) -> Side:
        return {
            key: value
            for key, value in self.records.items()
            if key > bounds.after and (bounds.through is None or key <= bounds.through)
        }


def built(records: Mapping[str, tuple[str, int]]) -> tuple[Leaves, MemoryAudits]:
    store = MemoryAudits()
    kept = Leaves(store, MemoryJournal())
    builder = LeavesBuilder(kept, store)
    builder.add(sorted(records.items()))
    builder.finish(LeavesMark(Position(1), "recipe"))
    return kept, store


def differing_keys(kept: Leaves, held: Held) -> set[str]:
    tree = DigestTree(kept.heads())
    found: set[str] = set()
    for node in descend(tree, held, 1, lambda: Head(Position(1), 1)).differing:
        bounds = tree.range_of(node)
        wanted, there = kept.terms([bounds.after])[bounds.after], held.within(bounds)
        found |= {key for key in wanted.keys() | there.keys() if wanted.get(key) != there.get(key)}
    return found


def naive(left: Side, right: Side) -> set[str]:
    return {key for key in left.keys() | right.keys() if left.get(key) != right.get(key)}


def sums_agree(left: Side, right: Side) -> bool:
    return digests_by_type(left.values()) == digests_by_type(right.values())


@given(sides, sides)
def test_every_difference_is_found_unless_the_sums_collide(left: Side, right: Side) -> None:
    kept, _ = built(left)
    found = differing_keys(kept, Held(right))
    assert found <= naive(left, right)
    if not sums_agree(left, right):
        assert found


@given(sides, st.data())
def test_with_terms_that_are_hashes_nothing_is_missed(left: Side, data: st.DataObject) -> None:
    left = {key: (name, hash((key, term)) & ((1 << 120) - 1)) for key, (name, term) in left.items()}
    right = dict(left)
    for key in data.draw(st.lists(st.sampled_from(sorted(left) or ["e:new"]), max_size=5)):
        change = data.draw(st.sampled_from(["drop", "retype", "alter", "add"]))
        if change == "drop":
            right.pop(key, None)
        elif change == "add":
            right[key + "!"] = ("A", hash((key, "added")) & ((1 << 120) - 1))
        elif key in right:
            name, term = right[key]
            right[key] = ("C", term) if change == "retype" else (name, term ^ (1 << 125))
    kept, _ = built(left)
    assert differing_keys(kept, Held(right)) == naive(left, right)


@pytest.mark.parametrize("size", [0, 1, LEAF_SIZE - 1, LEAF_SIZE, LEAF_SIZE + 1, 20 * LEAF_SIZE + 7])
def test_at_every_size_one_difference_costs_a_descent_and_no_more(size: int) -> None:
    left = {f"e:{number:07}": ("A", number * 7919 + 1) for number in range(size)}
    kept, _ = built(left)
    same = Held(dict(left))
    assert differing_keys(kept, same) == set()
    assert same.asked == 1
    for key in list(left)[:: max(1, size // 7)]:
        held = Held({**left, key: ("A", 0)})
        assert differing_keys(kept, held) == {key}
        assert held.asked <= 1 + 16 * 3


@given(
    sides, st.lists(st.dictionaries(awkward, st.none() | st.tuples(st.sampled_from(["A", "B"]), terms)), max_size=6)
)
def test_updates_leave_what_a_new_build_would(left: Side, updates: list[dict[str, tuple[str, int] | None]]) -> None:
    kept, store = built(left)
    expected = dict(left)
    for number, changes in enumerate(updates):
        kept.update(changes, LeavesMark(Position(number + 2), "recipe"))
        expected = {key: value for key, value in {**expected, **changes}.items() if value is not None}
    afters = [head.after for head in kept.heads()]
    assert afters == sorted(set(afters))
    assert afters[0] == ""
    stored = {key: value for leaf in store.leaves(afters) for key, value in leaf.terms.items()}
    assert stored == expected
    assert differing_keys(kept, Held(expected)) == set()


def test_a_leaf_that_grows_is_cut_and_stays_whole() -> None:
    kept, store = built({})
    for start in range(0, 3_000, 500):
        keys = {f"e:{number:05}": ("A", number) for number in range(start, start + 500)}
        kept.update(keys, LeavesMark(Position(start + 2), "recipe"))
    afters = [head.after for head in kept.heads()]
    sizes = [len(leaf.terms) for leaf in store.leaves(afters)]
    assert sum(sizes) == 3_000
    assert max(sizes) <= 2 * LEAF_SIZE
    assert len(sizes) >= 6


@given(st.lists(st.tuples(st.sampled_from("AB"), terms)), st.randoms(use_true_random=False), st.integers(1, 5))
def test_a_digest_does_not_depend_on_order_or_on_cuts(records: list[tuple[str, int]], rng: object, cuts: int) -> None:
    whole = total_of(digests_by_type(records).values())
    shuffled = list(records)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    pieces = [shuffled[piece::cuts] for piece in range(cuts)]
    assert total_of(Digest.of(term for _, term in piece) for piece in pieces) == whole
    assert whole == Digest.of(term for _, term in records)


# ---------------------------------------------------------------------- an index that keeps its digests

_names = st.integers(0, 2 * SEGMENT_SIZE_MAX + 40)
_ranges = st.lists(_names, max_size=4, unique=True).map(
    lambda cuts: [
        KeyRange(after, through)
        for after, through in zip(
            ["", *(f"e:k{cut:05}" for cut in sorted(cuts))],
            [*(f"e:k{cut:05}" for cut in sorted(cuts)), None],
            strict=True,
        )
    ]
)
_steps = st.one_of(
    st.tuples(st.just("upsert"), st.lists(_names, min_size=1, max_size=8, unique=True)),
    st.tuples(st.just("delete"), st.lists(_names, min_size=1, max_size=3, unique=True)),
    st.tuples(st.just("fill"), st.just(())),
    st.tuples(st.sampled_from(["zero", "forge", "drop vector", "age", "rename", "raw delete", "future"]), _names),
    st.tuples(st.just("ask"), _ranges),
    st.tuples(st.just("reopen"), st.just(())),
)
_RAW = {
    "zero": "UPDATE vectors SET vector = zeroblob(length(vector)) "
    "WHERE record = (SELECT id FROM records WHERE key = :k)",
    "forge": "UPDATE records SET fingerprint = 'forged' WHERE key = :k",
    "drop vector": "DELETE FROM vectors WHERE record = (SELECT id FROM records WHERE key = :k)",
    "age": "UPDATE records SET schema_version = 0 WHERE key = :k",
    "rename": "UPDATE OR IGNORE records SET key = :k || 'x' WHERE key = :k",
    "raw delete": "DELETE FROM records WHERE key = :k",
    "future": "UPDATE records SET position = 1000000 WHERE key = :k",
}


def key_of(number: int) -> RecordKey:
    return RecordKey.decode(f"e:k{number:05}")


@settings(
    max_examples=examples(25, 400), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(_steps, max_size=14))
def test_kept_digests_never_lie(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]) -> None:
    path = tmp_path_factory.mktemp("digests") / "index.db"
    store = SqliteStore(path)
    position = 1
    try:
        for kind, argument in steps:
            position += 1
            if kind in ("upsert", "fill"):
                numbers = range(2 * SEGMENT_SIZE_MAX + 20) if kind == "fill" else argument
                records = [make_record(key_of(n), position) for n in numbers]  # type: ignore[attr-defined]
                store.index.upsert(records)
            elif kind == "delete":
                keys = [key_of(number) for number in argument]  # type: ignore[attr-defined]
                store.index.delete([Deletion(key, Position(position)) for key in keys])
            elif kind == "reopen":
                store.close()
                store = SqliteStore(path)
            elif kind == "ask":
                assert_same(store, argument)  # type: ignore[arg-type]
            else:
                with closing(sqlite3.connect(path)) as raw, raw:
                    raw.execute(_RAW[kind], {"k": f"e:k{argument:05}"})
        assert_same(store, [KeyRange()])
        assert_same(store, [KeyRange("", "e:k00100"), KeyRange("e:k00100", None)])
    finally:
        store.close()


def assert_same(store: SqliteStore, ranges: Sequence[KeyRange]) -> None:
    def damaged(stamps: Sequence[Stamp]) -> list[bool]:
        held = store.index.vectors([stamp.key for stamp in stamps], SPACE)
        return damaged_vectors(stamps, [held.get(stamp.key) for stamp in stamps])

    tree = DigestTree([LeafHead(bounds.after, {}) for bounds in ranges])
    read = scanned(tree, store.index, damaged, RowsRead(), SteadyPace(page=16))
    assert list(store.index.digests(ranges)) == list(read.digests(ranges))
    assert list(store.index.digests([KeyRange()])) == list(read.digests([KeyRange()]))


def test_a_write_between_the_look_and_the_keeping_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    store = SqliteStore(path)
    store.index.upsert([make_record(key_of(number)) for number in range(50)])
    with closing(sqlite3.connect(path, isolation_level=None)) as snapshot:
        snapshot.execute("BEGIN")
        segments = Segments(snapshot, {1: SPACE})
        before = segments.digest(KeyRange())
        store.index.upsert([make_record(key_of(7), 2)])
        snapshot.execute("ROLLBACK")
        snapshot.execute("BEGIN IMMEDIATE")
        segments.keep(snapshot)
        snapshot.execute("COMMIT")
    (after,) = store.index.digests([KeyRange()])
    assert after != before
    assert_same(store, [KeyRange()])
    store.close()


def test_what_a_term_leaves_out_does_not_make_records_equal() -> None:
    plain = make_record("ada").stamp
    others = [
        make_record("ada", entity_type="Robot"),
        make_record("ada", fingerprint="other"),
        make_record("ada", metadata={"a": 1}),
        make_record("ada", extraction_confidence=0.5),
        make_record("ada", source_document_id="d1"),
        make_record("ada", extraction_template_version="2"),
        make_record("ada", needs_reembedding=True),
        make_record("adb"),
    ]
    assert len({stamp_term(plain), *(stamp_term(record.stamp) for record in others)}) == len(others) + 1
    assert stamp_term(plain, damaged=True) != stamp_term(plain)
