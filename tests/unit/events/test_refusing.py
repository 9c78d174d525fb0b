"""Refused lines: kept cut, bounded together, counted past it, and never lost without a word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.refusals import CutLine, RefusalLimits, is_cut, kept_payload, reason_of
from slipstream.domain.work import ERROR_CHARACTERS_MAX, DeadLetter, kept_error
from slipstream.events.lines import bounded_lines, refusal_of
from slipstream.events.refusing import REASONS_MAX, WRONG_AFTER, Refusals, Source
from slipstream.testkit.clock import ManualClock

BAD = InvalidInputError("is not JSON: column 3", field="event")


def refusals(
    journal: MemoryJournal, *, is_stream: bool = True, limits: RefusalLimits | None = None, name: str = "people.csv"
) -> Refusals:
    return Refusals(journal, ManualClock(), Source(name, "apply:", is_stream), limits or RefusalLimits())


def letters(journal: MemoryJournal) -> list[DeadLetter]:
    return list(journal.letters(None, 10_000))


@pytest.mark.parametrize("chunk_bytes", [1, 3, 7, 1000])
def test_lines_are_the_same_whatever_the_chunks(chunk_bytes: int) -> None:
    data = "a\n\nzwölf\r\n".encode() + b"x" * 50 + b"\n" + b"\xff\nend"
    chunks = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    found = list(bounded_lines(chunks, bytes_max=20))
    cut = CutLine("x" * 20, 50, hashlib.sha256(b"x" * 50).hexdigest())
    bad = found[4][0]
    assert [line for line, _ in found] == ["a", "", "zwölf\r", cut, bad, "end"]
    assert isinstance(bad, CutLine)
    assert (bad.head, bad.size_bytes) == ("\\xff", 1), "no letter is replaced"
    assert "is not UTF-8 (byte 0xff): convert it" in str(refusal_of(bad, "line 5"))
    assert sum(size for _, size in found) == len(data)


def test_a_line_without_an_end_is_not_held() -> None:
    held = 0

    def chunks() -> Iterator[bytes]:
        nonlocal held
        for _ in range(2_000):
            yield b"x" * 65_536
        held += 1

    ((line, size),) = bounded_lines(chunks(), bytes_max=1 << 20)
    assert isinstance(line, CutLine)
    assert (size, line.size_bytes, held) == (2_000 * 65_536, 2_000 * 65_536, 1)
    assert len(line.head) <= 65_536


def test_a_short_line_is_kept_whole_and_a_long_one_cut_with_its_digest() -> None:
    journal = MemoryJournal()
    kept = refusals(journal)
    long = "ü" * 5_000
    kept.refuse("apply:a", "short", "line 1", BAD)
    kept.refuse("apply:b", long, "line 2", BAD)
    kept.refuse("apply:c", CutLine("x" * 60_000, 10**8, "ab" * 32), "line 3", BAD)
    assert letters(journal) == []  # nothing is durable before it is flushed
    kept.flush()
    short, cut, huge = letters(journal)
    assert (short.payload, short.can_be_replayed) == ("short", True)
    told = json.loads(cut.payload or "")
    digest = hashlib.sha256(long.encode()).hexdigest()
    assert (told["head"], told["size_bytes"], told["sha256"]) == ("ü" * 2_048, 10_000, digest)
    assert not cut.can_be_replayed
    assert "4,096 of 10,000 bytes" in cut.error
    assert "give people.csv again" in cut.error
    assert len(huge.payload or "") < 5_000
    assert "4,096 of 100,000,000 bytes" in huge.error


def test_past_the_bound_lines_are_counted_by_reason_and_named() -> None:
    journal = MemoryJournal()
    kept = refusals(journal, limits=RefusalLimits(count_max=3))
    for number in range(1, 11):
        error = InvalidInputError(f"is not JSON: column {number}", field="event")
        kept.refuse(f"apply:{number}", f"line {number}", f"line {number}", error)
    kept.refuse("apply:x", "x", "line 11", InvalidInputError("must be a text", field="id"))
    kept.flush()
    found = letters(journal)
    more = {letter.attempts: letter for letter in found if ":more:" in letter.id}
    assert len(found) == 3 + 2
    assert sorted(more) == [1, 7]
    said = "7 more lines of people.csv are refused and not kept (line 4 to line 10): event: is not JSON"
    assert said in more[7].error
    assert not more[7].can_be_replayed


def test_the_bound_holds_over_sources_and_in_bytes() -> None:
    journal = MemoryJournal()
    limits = RefusalLimits(bytes_max=10_000)
    for source in range(20):
        kept = refusals(journal, limits=limits, name=f"file {source}")
        for number in range(20):
            kept.refuse(f"apply:{source}:{number}", "x" * 500, f"line {number}", BAD)
        kept.flush()
    whole = [letter for letter in letters(journal) if letter.payload is not None]
    assert 5 <= len(whole) <= 20
    counted = sum(letter.attempts for letter in letters(journal) if ":more:" in letter.id)
    assert counted + len(whole) == 400


def test_what_is_counted_of_a_stream_adds_up_and_of_a_file_that_is_read_again_does_not() -> None:
    for is_stream, expected in ((True, 8), (False, 4)):
        journal = MemoryJournal()
        for _ in range(2):
            kept = refusals(journal, is_stream=is_stream, limits=RefusalLimits(count_max=0))
            kept.prove()
            for number in range(4):
                kept.refuse(f"apply:{number}", "x", f"line {number}", BAD)
                kept.flush()
        assert [letter.attempts for letter in letters(journal)] == [expected]


def test_reasons_are_bounded_too() -> None:
    journal = MemoryJournal()
    kept = refusals(journal, limits=RefusalLimits(count_max=0))
    for number in range(100):
        kept.refuse(f"apply:{number}", "x", f"line {number}", ValueError("odd " + "z" * number))
    kept.flush()
    assert len(letters(journal)) == REASONS_MAX + 1
    assert sum(letter.attempts for letter in letters(journal)) == 100


def test_a_file_whose_first_lines_are_all_refused_is_the_wrong_one() -> None:
    journal = MemoryJournal()
    kept = refusals(journal, is_stream=False)
    for number in range(WRONG_AFTER - 1):
        kept.refuse(f"apply:{number}", "a,b", f"line {number}", BAD)
        kept.flush()
    with pytest.raises(ConfigError, match=r"people.csv is not .* first 20 lines are all refused"):
        kept.refuse("apply:last", "a,b", "line 20", BAD)
    kept.finish()
    assert letters(journal) == []


def test_a_file_that_is_proved_or_short_keeps_its_refused_lines() -> None:
    journal = MemoryJournal()
    kept = refusals(journal, is_stream=False)
    kept.refuse("apply:first", "a,b", "line 1", BAD)
    kept.prove()
    for number in range(3 * WRONG_AFTER):
        kept.refuse(f"apply:{number}", "a,b", f"line {number}", BAD)
    kept.flush()
    assert len(letters(journal)) == 1 + 3 * WRONG_AFTER
    short = refusals(journal, is_stream=False)
    short.refuse("apply:short", "a,b", "line 1", BAD)
    short.finish()
    assert len(letters(journal)) == 2 + 3 * WRONG_AFTER


def test_errors_are_cut_once() -> None:
    cut = kept_error("x" * 1_000_000)
    assert len(cut) < ERROR_CHARACTERS_MAX + 100
    assert cut.endswith("(998,000 more characters)")
    assert kept_error(cut) == cut
    letter = DeadLetter("a", None, "x" * 1_000_000, 1, ManualClock().now())
    assert letter.error == cut


def test_payloads_that_nobody_can_read_are_cut() -> None:
    assert kept_payload("x" * 4_096, "topic t") == "x" * 4_096
    assert is_cut(kept_payload("x" * 4_097, "topic t"))
    assert not is_cut('{"schema": "something else"}')
    assert not is_cut(None)


def test_reasons_leave_out_what_differs_from_line_to_line() -> None:
    assert reason_of(ValueError("line 7: 'ada' is\n no id")) == reason_of(ValueError("line 12: 'bob' is no id"))
    assert len(reason_of(ValueError("x" * 1_000))) < 200


@pytest.mark.parametrize("name", ["line_bytes", "count_max", "bytes_max"])
def test_limits_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"dead_letters.{name}"):
        RefusalLimits(**{name: -1})
