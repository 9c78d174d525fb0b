"""Applies foreign change events to the graph, from a live pipe or a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slipstream.domain.errors import InvalidInputError, SlipstreamError, TransientError
from slipstream.domain.events import deterministic_event_id
from slipstream.domain.feed_changes import Change, FeedOptions, Note, Passed, Truncation
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.refusals import CutLine, RefusalLimits
from slipstream.domain.work import DeadLetter
from slipstream.events.changing import ChangeWriter, Outcome
from slipstream.events.feed_options import unwrapped, wrapped
from slipstream.events.formats.detect import MessageParser
from slipstream.events.lines import Line, refusal_of
from slipstream.events.refusing import Refusals, Source
from slipstream.events.truncating import Truncator
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphWriter
from slipstream.ports.journal import DeadLetters

BATCH = 500
REJECTED_SHOWN = 20
NOTES_SHOWN = 100
_PREFIX, _UNNAMED = "apply:", "a stream"
EVENTS_FORM = "change events as JSON lines"


@dataclass(slots=True)
class ApplyReport:
    """What a stream of events brought. `rejected` ones are dead letters that can be replayed."""

    applied: int = 0
    duplicates: int = 0
    outdated: int = 0
    """Changes of rows that have already come further."""
    ignored: int = 0
    rejected: int = 0
    passed: Counter[str] = field(default_factory=Counter)
    """Messages that are not changes of rows, by kind."""
    position: Position = ORIGIN
    errors: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    """What is not known of columns, by column."""

    @property
    def seen(self) -> int:
        """How many messages have been dealt with."""
        passed = sum(self.passed.values())
        return self.applied + self.duplicates + self.outdated + self.ignored + self.rejected + passed

    @property
    def said(self) -> list[str]:
        """The notes, as lines."""
        return [f"{column}: {text}" for column, text in self.notes.items()]

    def note(self, note: Note) -> None:
        """Keep a note, one for each column."""
        if len(self.notes) < NOTES_SHOWN:
            self.notes.setdefault(note.column, note.text)

    def count(self, outcomes: Counter[Outcome]) -> None:
        """Add the outcomes of changes."""
        for outcome, count in outcomes.items():
            setattr(self, outcome.value, getattr(self, outcome.value) + count)


class _Said(NamedTuple):
    """A change, and the line that said it."""

    line: str
    change: Change | Truncation

    @property
    def event_id(self) -> str:
        return self.change.event_id if isinstance(self.change, Truncation) else self.change.event.event_id


class Applier:
    """
    Applies change events to the graph, never an older one after a newer one of its row.

    A whole state is set, a difference is merged, a deletion of an absent record is no error. The same transaction
    records how far each row of a feed has come, and the id of an event without an order, so that replaying a file
    changes nothing.
    """

    def __init__(
        self,
        pkg: GraphWriter,
        letters: DeadLetters,
        clock: Clock,
        limits: RefusalLimits | None = None,
        feed: FeedOptions | None = None,
    ) -> None:
        self._pkg, self._letters, self._clock = pkg, letters, clock
        self._limits = limits or RefusalLimits()
        self.feed = feed or FeedOptions()
        """What the feed does not say of itself."""

    def run(
        self,
        lines: Iterable[Sequence[Line]],
        on_batch: Callable[[ApplyReport], None] | None = None,
        *,
        source: str | None = None,
    ) -> ApplyReport:
        """
        Apply batches of JSON lines, one transaction each; a bad line or event is rejected, the rest goes on.

        `source` names the file that the lines come from; without it they are a stream, which can be read only once.
        Raises `ConfigError` when the first lines of a file say that it holds no events at all.
        """
        report = ApplyReport()
        refusals, parser = self._refusals(source), MessageParser(self.feed)
        for batch in lines:
            said = list(self._parsed(batch, parser, report, refusals))
            refusals.flush()  # before the rest of the batch is durable, and the source moves on
            self._apply(said, report, refusals)
            refusals.flush()
            if on_batch is not None:
                on_batch(report)
        refusals.finish()
        return report

    def _refusals(self, source: str | None) -> Refusals:
        named = Source(source or _UNNAMED, _PREFIX, is_stream=source is None, form=EVENTS_FORM)
        return Refusals(self._letters, self._clock, named, self._limits)

    def _parsed(
        self, lines: Sequence[Line], parser: MessageParser, report: ApplyReport, refusals: Refusals
    ) -> Iterator[_Said]:
        for line in lines:
            if isinstance(line, CutLine):
                self._reject(line.sha256, line, refusal_of(line, "event"), report, refusals)
                continue
            if not line.strip():
                continue
            try:
                parsed = parser.parse(line)
            except InvalidInputError as error:
                self._reject(deterministic_event_id([line]), line, error, report, refusals)
                continue
            refusals.prove()
            for said in parsed:
                if isinstance(said, Passed):
                    report.passed[said.kind] += 1
                else:
                    yield _Said(line, said)

    def _apply(self, said: Sequence[_Said], report: ApplyReport, refusals: Refusals) -> None:
        waiting: list[_Said] = []
        for each in said:
            if isinstance(each.change, Truncation):
                self._change(waiting, report, refusals)
                waiting = []
                self._truncate(each, each.change, report, refusals)
            else:
                waiting.append(each)
        self._change(waiting, report, refusals)

    def _truncate(self, said: _Said, truncation: Truncation, report: ApplyReport, refusals: Refusals) -> None:
        truncator = Truncator(self._pkg)
        try:
            outcome = truncator.run(truncation)
        except TransientError:
            raise
        except SlipstreamError as error:
            self._reject(said.event_id, said.line, error, report, refusals)
            return
        report.count(Counter([outcome]))
        report.position = truncator.position

    def _change(self, said: Sequence[_Said], report: ApplyReport, refusals: Refusals) -> None:
        """Apply changes in one transaction; if one of them fails, each in a transaction of its own."""
        if not said:
            return
        try:
            self._change_together(said, report, refusals)
        except TransientError:
            raise
        except SlipstreamError as error:
            if len(said) == 1:
                self._reject(said[0].event_id, said[0].line, error, report, refusals)
                return
            for each in said:
                self._change([each], report, refusals)

    def _change_together(self, said: Sequence[_Said], report: ApplyReport, refusals: Refusals) -> None:
        outcomes: Counter[Outcome] = Counter()
        refused: list[tuple[_Said, SlipstreamError]] = []
        notes: list[Note] = []
        changes = [each.change for each in said if isinstance(each.change, Change)]
        with self._pkg.transaction() as tx:
            writer = ChangeWriter(tx, changes, self.feed.tables, notes.append)
            for each, change in zip(said, changes, strict=True):
                outcome = writer.write(change)
                if isinstance(outcome, Outcome):
                    outcomes[outcome] += 1
                else:
                    refused.append((each, outcome))
            writer.finish()
        report.position = tx.position
        report.count(outcomes)
        for note in notes:
            report.note(note)
        for each, error in refused:
            self._reject(each.event_id, each.line, error, report, refusals)

    def _reject(self, name: str, line: Line, error: SlipstreamError, report: ApplyReport, refusals: Refusals) -> None:
        report.rejected += 1
        text = f"{type(error).__name__}: {error}"
        if len(report.errors) < REJECTED_SHOWN:
            report.errors.append(text)
        kept = wrapped(line, self.feed) if isinstance(line, str) else None
        refusals.refuse(f"{_PREFIX}{name}", line, f"event {name}", error, text, kept)

    def replay(self, letter: DeadLetter) -> bool:
        """
        Apply a rejected event again, with the options of its feed; False when it is rejected again, or not kept
        whole.

        An event that is rejected again renews its letter.
        """
        if letter.payload is None or not letter.can_be_replayed:
            return False
        line, feed = unwrapped(letter.payload, self.feed)
        applier = Applier(self._pkg, self._letters, self._clock, self._limits, feed)
        return applier.run([[line]]).rejected == 0
