"""
The conformance suite of the audit's memory: `LeafStore` and `AuditLog`.

One object implements both. An adapter's test file gives the `audits` fixture, `reopen` where it is durable, and
`shared_journal` where a journal on the same store has transactions that leaves and audits join.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import pytest

from slipstream.domain.audits import Finding, KeptAudit, Leaf, LeafHead, Terms
from slipstream.domain.digests import digests_by_type
from slipstream.ports.audits import AuditLog, LeafStore
from slipstream.ports.journal import Journal
from slipstream.testkit.suites.index_support import ODD_KEYS


class FullAudits(LeafStore, AuditLog, Protocol):
    """What an adapter's audit memory is."""


ReopenAudits = Callable[[], FullAudits]


class _Interrupted(BaseException):
    """As abrupt as a `KeyboardInterrupt`: not an `Exception`."""


def leaf(after: str, *keys: str, term: int = 7) -> Leaf:
    """Return a leaf with these keys."""
    return Leaf(after, {key: ("Person", term + number) for number, key in enumerate(keys)})


def findings(kind: str, count: int) -> list[Finding]:
    """Return findings of one class, in order."""
    return [Finding(kind, f"e:n{number:05}") for number in range(count)]


def interrupted(items: Sequence[Any]) -> Iterator[Any]:
    """Yield items, then fail abruptly."""
    yield from items
    raise _Interrupted


def all_findings(audits: AuditLog, audit_id: int, kind: str | None = None, limit: int = 7) -> list[Finding]:
    """Page through the findings of an audit."""
    found: list[Finding] = []
    while page := audits.findings(audit_id, found[-1] if found else None, limit, kind):
        assert len(page) <= limit
        found += page
    return found


class AuditsSuite(ABC):
    """What every audit memory must do. The docstrings of the ports are the contract."""

    @pytest.fixture
    @abstractmethod
    def audits(self) -> FullAudits:
        """Return an empty audit memory; the fixture closes its store."""

    @pytest.fixture
    def reopen(self) -> ReopenAudits | None:
        """Return what closes the store and opens it anew; None where nothing survives the process."""
        return None

    @pytest.fixture
    def shared_journal(self) -> Journal | None:
        """Return the journal on the same store, None where they share none."""
        return None

    # ------------------------------------------------------------------ leaves

    def test_leaves_come_back_whole_and_in_order(self, audits: FullAudits) -> None:
        terms: Terms = {key.encode(): (f"Type {number} ü", number) for number, key in enumerate(ODD_KEYS)}
        terms["e:largest"] = ("", (1 << 128) - 1)
        terms["r:zero"] = ("Person", 0)
        stored = [Leaf("", terms), *(Leaf(key.encode(), {"r:x": ("A", 1)}) for key in ODD_KEYS), Leaf("r:z")]
        audits.put_leaves(reversed(stored))
        expected = sorted(stored, key=lambda kept: kept.after)
        asked = [kept.after for kept in stored]
        assert list(audits.leaves([*asked, *asked, "e:unknown"])) == expected
        assert list(audits.leaves([])) == []
        assert list(audits.heads()) == [kept.head() for kept in expected]

    def test_heads_are_the_digests_of_the_leaves(self, audits: FullAudits) -> None:
        mixed: Terms = {"e:a": ("A", (1 << 128) - 1), "e:b": ("A", 2), "e:c": ("B", 3)}
        audits.put_leaves([Leaf("", mixed), Leaf("e:c")])
        assert list(audits.heads()) == [LeafHead("", digests_by_type(mixed.values())), LeafHead("e:c", {})]

    def test_the_total_is_the_sum_of_the_heads(self, audits: FullAudits) -> None:
        assert dict(audits.total()) == {}
        mixed: Terms = {"e:a": ("A", (1 << 128) - 1), "e:b": ("A", 2), "e:c": ("B", 3)}
        audits.put_leaves([Leaf("", mixed), leaf("e:c", "e:d", term=7), Leaf("e:x")])
        more = leaf("e:c", "e:d", term=7).terms
        assert dict(audits.total()) == digests_by_type([*mixed.values(), *more.values()])
        audits.put_leaves([], remove=["e:c"])
        assert dict(audits.total()) == digests_by_type(mixed.values())

    def test_keys_are_held_by_the_leaf_whose_range_they_fall_into(self, audits: FullAudits) -> None:
        assert list(audits.holding(["e:a"])) == []
        first, second, last = leaf("", "e:a"), leaf("e:m", "e:n"), leaf("r:x")
        audits.put_leaves([first, second, last])
        assert list(audits.holding(["r:y", "e:a", "e:b"])) == [first, last]
        assert list(audits.holding(["e:m"])) == [first], "a range begins behind its `after`"
        assert list(audits.holding(["e:n", "e:o", "e:n", "r:x"])) == [second]
        assert list(audits.holding([])) == []

    def test_a_leaf_is_replaced_whole(self, audits: FullAudits) -> None:
        audits.put_leaves([leaf("", "e:a", "e:b"), leaf("e:m", "e:n")])
        assert len(audits.heads()) == 2
        audits.put_leaves([leaf("", "e:c", term=99)])
        assert list(audits.leaves(["", "e:m"])) == [leaf("", "e:c", term=99), leaf("e:m", "e:n")]
        assert audits.heads()[0] == leaf("", "e:c", term=99).head()

    def test_leaves_are_removed_before_others_are_added(self, audits: FullAudits) -> None:
        audits.put_leaves([leaf("", "e:a"), leaf("e:m", "e:n"), leaf("e:x", "e:y")])
        audits.put_leaves([leaf("e:m", "e:o")], remove=["e:m", "e:x", "e:unknown"])
        assert [head.after for head in audits.heads()] == ["", "e:m"]
        assert list(audits.leaves(["e:m", "e:x"])) == [leaf("e:m", "e:o")]

    def test_leaves_are_put_in_one_step(self, audits: FullAudits) -> None:
        before = [leaf("", "e:a"), leaf("e:m", "e:n")]
        audits.put_leaves(before)
        with pytest.raises(_Interrupted):
            audits.put_leaves(interrupted([leaf("", "e:z"), leaf("e:t", "e:u")]), remove=["e:m"])
        assert list(audits.leaves(["", "e:m", "e:t"])) == before

    def test_readers_see_whole_steps(self, audits: FullAudits) -> None:
        # A leaf that is cut in two and joined again: whoever reads beside it sees each key once.
        joined, cut = [leaf("", "e:a", "e:b")], [leaf("", "e:a"), leaf("e:a", "e:b", term=8)]
        audits.put_leaves(joined)
        done = threading.Event()

        def write() -> None:
            try:
                for _ in range(60):
                    audits.put_leaves(cut)
                    audits.put_leaves(joined, remove=["e:a"])
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        leaves, heads = [], []
        while not done.is_set():
            leaves.append(list(audits.leaves(["", "e:a"])))
            heads.append(list(audits.heads()))
        writer.join()
        assert all(seen in (joined, cut) for seen in leaves)
        assert all(seen in ([kept.head() for kept in joined], [kept.head() for kept in cut]) for seen in heads)
        assert list(audits.leaves(["", "e:a"])) == joined

    def test_nothing_is_shared_with_the_caller(self, audits: FullAudits) -> None:
        mine = leaf("", "e:a")
        audits.put_leaves([mine])
        mine.terms["e:mine"] = ("Person", 1)
        audits.leaves([""])[0].terms["e:theirs"] = ("Person", 2)
        assert list(audits.leaves([""])) == [leaf("", "e:a")]
        assert list(audits.heads()) == [leaf("", "e:a").head()]

    def test_any_number_of_leaves(self, audits: FullAudits) -> None:
        many = [leaf(f"e:{number:05}", f"e:{number:05}x", term=number) for number in range(1_100)]
        audits.put_leaves(many)
        assert list(audits.leaves([kept.after for kept in reversed(many)])) == many
        audits.put_leaves([], remove=[kept.after for kept in many[1:]])
        assert list(audits.heads()) == [many[0].head()]

    def test_clearing_leaves_the_audits(self, audits: FullAudits) -> None:
        audits.put_leaves([leaf("", "e:a")])
        kept = audits.keep({"kind": "full"}, findings("stale", 2))
        audits.clear_leaves()
        assert (list(audits.heads()), list(audits.leaves([""]))) == ([], [])
        assert all_findings(audits, kept) == findings("stale", 2)

    # ------------------------------------------------------------------ evidence

    def test_an_audit_comes_back_with_its_number(self, audits: FullAudits) -> None:
        report = {"id": None, "kind": "full", "notes": ["ü 🦊"], "counts": {"stale": 3}, "ratio": 0.1, "none": None}
        kept = audits.keep(report, [])
        assert audits.audit(kept) == KeptAudit(kept, {**report, "id": kept})
        assert report["id"] is None
        assert audits.audit(kept + 1) is None
        assert list(audits.findings(kept + 1, None, 10)) == []

    @pytest.mark.parametrize("count", [0, 2_500])
    def test_an_audit_is_sealed_with_its_number(self, audits: FullAudits, count: int) -> None:
        given: list[Mapping[str, Any]] = []

        def seal(report: Mapping[str, Any]) -> Mapping[str, Any]:
            given.append(report)
            return {**report, "sealed": report["id"]}

        kept = audits.keep({"kind": "full"}, findings("stale", count), seal)
        assert given == [{"kind": "full", "id": kept}]
        assert audits.audit(kept) == KeptAudit(kept, {"kind": "full", "id": kept, "sealed": kept})
        assert all_findings(audits, kept) == findings("stale", count)

    def test_audits_are_paged_newest_first(self, audits: FullAudits) -> None:
        ids = [audits.keep({"number": number}, []) for number in range(7)]
        assert ids == sorted(set(ids))
        found: list[KeptAudit] = []
        while page := audits.audits(found[-1].id if found else None, 3):
            found += page
        assert [kept.id for kept in found] == ids[::-1]
        assert [kept.report["number"] for kept in found] == list(range(7))[::-1]
        assert len(audits.audits(None, 3)) == 3

    def test_every_finding_is_kept_once_and_in_order(self, audits: FullAudits) -> None:
        odd = [Finding("missing", key.encode()) for key in ODD_KEYS]
        many = findings("stale", 2_500)
        kept = audits.keep({}, iter([*many[::-1], *odd, *many[:3]]))
        assert all_findings(audits, kept, limit=1_000) == sorted(odd) + many
        assert all_findings(audits, kept, "missing", limit=4) == sorted(odd)

    def test_findings_go_on_behind_any_of_them(self, audits: FullAudits) -> None:
        kept = audits.keep({}, findings("missing", 3) + findings("stale", 3))
        other = audits.keep({}, findings("orphaned", 1))
        assert list(audits.findings(kept, Finding("missing", "e:n00001"), 2)) == [
            Finding("missing", "e:n00002"),
            Finding("stale", "e:n00000"),
        ]
        assert list(audits.findings(kept, Finding("missing", "e:n00001"), 9, "stale")) == findings("stale", 3)
        assert list(audits.findings(kept, Finding("stale", "e:n00001x"), 9)) == [Finding("stale", "e:n00002")]
        assert list(audits.findings(kept, Finding("stale", "e:n00001"), 9, "missing")) == []
        assert all_findings(audits, other) == findings("orphaned", 1)

    def test_a_finding_keeps_its_type(self, audits: FullAudits) -> None:
        typed = [Finding("stale", "e:a", "Person"), Finding("stale", "e:b"), Finding("stale", "e:c", "ü 🦊")]
        kept = audits.keep({}, typed)
        assert all_findings(audits, kept, limit=1) == typed
        assert list(audits.findings(kept, Finding("stale", "e:a"), 9)) == typed[1:]

    def test_audits_are_forgotten_with_their_findings(self, audits: FullAudits) -> None:
        ids = [audits.keep({}, findings("stale", 2_500)) for _ in range(4)]
        audits.forget([ids[0], ids[2], ids[3] + 1])
        assert [kept.id for kept in audits.audits(None, 10)] == [ids[3], ids[1]]
        assert [audits.audit(number) for number in (ids[0], ids[2])] == [None, None]
        assert [len(all_findings(audits, number, limit=5_000)) for number in ids] == [0, 2_500, 0, 2_500]
        audits.forget([])
        assert len(audits.audits(None, 10)) == 2

    def test_numbers_are_never_given_out_again(self, audits: FullAudits) -> None:
        first = audits.keep({}, [])
        second = audits.keep({}, [])
        audits.forget([first, second])
        assert audits.audit(second) is None
        assert audits.keep({}, []) > second > first

    @pytest.mark.parametrize("count", [5, 2_500])
    def test_an_audit_is_kept_in_one_step(self, audits: FullAudits, count: int) -> None:
        kept = audits.keep({}, findings("stale", 1))
        with pytest.raises(_Interrupted):
            audits.keep({}, interrupted(findings("missing", count)))
        assert [found.id for found in audits.audits(None, 10)] == [kept]
        assert [audits.audit(kept + number) for number in (1, 2)] == [None, None]
        assert [all_findings(audits, kept + number) for number in (0, 1, 2)] == [findings("stale", 1), [], []]
        newest = audits.keep({}, [])
        assert all_findings(audits, newest) == []

    # ------------------------------------------------------------------ durability

    def test_everything_survives_a_reopen(self, audits: FullAudits, reopen: ReopenAudits | None) -> None:
        if reopen is None:
            pytest.skip("nothing survives the process, and nothing says it would")
        audits.put_leaves([leaf("", "e:a"), leaf("e:a", "e:b")])
        kept = audits.keep({"kind": "deep"}, findings("stale", 3))
        again = reopen()
        assert list(again.leaves(["", "e:a"])) == [leaf("", "e:a"), leaf("e:a", "e:b")]
        assert again.audit(kept) == KeptAudit(kept, {"kind": "deep", "id": kept})
        assert all_findings(again, kept) == findings("stale", 3)
        assert again.keep({}, []) > kept

    def test_a_journal_of_the_same_store_takes_everything_back(
        self, audits: FullAudits, shared_journal: Journal | None
    ) -> None:
        if shared_journal is None:
            pytest.skip("no journal shares the store")
        audits.put_leaves([leaf("", "e:a")])
        with pytest.raises(_Interrupted), shared_journal.transaction():
            audits.put_leaves([leaf("", "e:b")])
            audits.clear_leaves()
            audits.keep({}, findings("stale", 1))
            assert (len(audits.heads()), len(audits.audits(None, 9))) == (0, 1)  # it sees its own writes
            raise _Interrupted
        assert list(audits.leaves([""])) == [leaf("", "e:a")]
        assert list(audits.audits(None, 9)) == []
        with shared_journal.transaction():
            audits.clear_leaves()
            shared_journal.set("audit", "kept")
        assert (list(audits.heads()), shared_journal.get("audit")) == ([], "kept")
