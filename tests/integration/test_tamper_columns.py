"""Every column of every table of both files is tampered with: it is found and mended, told by name, or harmless."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.app.composition import DATA_FOLDER
from slipstream.app.slipstream import Slipstream
from slipstream.audit.auditor import DEEP_ALL
from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import SlipstreamError
from slipstream.testkit.clock import ManualClock
from tests.integration.tamper_cases import Case, RefusedError, cases_of, change, tamper, untriggered
from tests.integration.tamper_harmless import GRAPH, HARMLESS, INDEX, is_harmless, name_of
from tests.integration.tamper_world import held, made, opened, settle, sync_states

Shown = frozenset[str]
"""Places of damage, and classes of divergence."""
_ROUNDS_MAX = 3
SEARCHED = ("words_english", "words_none", "name_trigrams", "word_trigrams")
"""The tables of FTS5, each of which keeps five more."""
TABLES = {
    GRAPH: ["meta", "entity", "relationship", "change", "consumer", "schema_version", "once", "sync_state", "fence"],
    INDEX: [
        *("spaces", "records", "vectors", "tombstones", "changes", "segments"),
        *("codes", "coded", "kept_terms", "doubted_keys"),
        *("named_values", "work", "letters", "messages", "lease", "requests"),
        *("leaves", "audits", "findings"),
        *("word_rows", "word_names", "known_words", "lost_words"),
        *(f"{table}_{part}" for table in SEARCHED for part in ("data", "idx", "content", "docsize", "config")),
    ],
}
PLACES = [(file, table) for file, tables in TABLES.items() for table in [*tables, "sqlite_sequence"]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tamper") / "pkg")


@pytest.fixture
def copied(template: Path, tmp_path: Path) -> Callable[[], Path]:
    """Give a fresh copy of the PKG, each time in the same place."""

    def copy() -> Path:
        shutil.rmtree(tmp_path / "pkg", ignore_errors=True)
        return shutil.copytree(template, tmp_path / "pkg")

    return copy


def cases(template: Path, file: str, table: str) -> list[Case]:
    return [case for case in cases_of(template / DATA_FOLDER / file) if case.table == table]


# ---------------------------------------------------------------------- what is to be found


@pytest.mark.parametrize(("file", "table"), PLACES)
def test_what_is_not_harmless_is_found_and_mended_or_told_by_name(
    template: Path, copied: Callable[[], Path], file: str, table: str
) -> None:
    wanted = None if table in ("entity", "relationship") else held(template)  # the index follows the graph
    overlooked: list[str] = []
    seen: set[Shown] = set()
    for case in cases(template, file, table):
        if is_harmless(file, case):
            continue
        directory = copied()
        try:
            tamper(directory / DATA_FOLDER / file, case)
        except RefusedError:
            continue
        places = self_check(directory)
        if (places and places in seen) or found_by_audits(directory, wanted, places, seen):
            continue  # what audit and repair make of such damage has been seen, or is now
        overlooked.append(str(case))
    assert overlooked == []


def self_check(directory: Path) -> Shown:
    """Return the places that the files find wrong with themselves."""
    data = directory / DATA_FOLDER
    try:
        graph = SqliteGraph(data / GRAPH, clock=ManualClock())
    except SlipstreamError:
        return frozenset()  # told at open: seen by the audit
    store = SqliteStore(data / INDEX)
    try:
        checks = (graph.selfcheck, store.selfcheck)
        return frozenset(f.place for check in checks for f in check.check(deep=True, head=graph.feed.head))
    finally:
        store.close()
        graph.close()


def found_by_audits(directory: Path, wanted: Mapping[str, object] | None, places: Shown, seen: set[Shown]) -> bool:
    """
    Audit, and repair until nothing is left that can be mended; what is held then is what the graph asks for.

    What shows in the very same way is repaired once.
    """
    try:
        with opened(directory) as slipstream:
            report = slipstream.verify(deep=DEEP_ALL) if places else slipstream.verify()
            if report.is_consistent:
                assert not places
                return False
            assert_told(report)
            shown = frozenset(
                {*(damage.place for damage in report.damage), *(k for k, n in report.counts().items() if n)}
            )
            if shown in seen:
                return True
            seen.update((shown, places))
            last = repaired(slipstream, report)
            assert all(not damage.is_mendable for damage in last.damage), last.damage
            assert last.is_consistent is not bool(last.damage or last.unrenderable)
    except SlipstreamError as error:
        assert_says_what_to_do(str(error))
        return True
    if last.is_consistent and wanted is not None:
        assert held(directory) == wanted
    return True


def repaired(slipstream: Slipstream, report: AuditReport) -> AuditReport:
    for _ in range(_ROUNDS_MAX):
        if report.is_consistent or not (is_divergent(report) or any(d.is_mendable for d in report.damage)):
            break
        slipstream.repair(report)
        settle(slipstream)
        report = slipstream.verify(deep=DEEP_ALL)
    return report


def is_divergent(report: AuditReport) -> bool:
    return any(report.divergences.values()) or (report.words is not None and report.words.is_divergent)


def assert_told(report: AuditReport) -> None:
    for damage in report.damage:
        assert damage.place in damage.told
        assert damage.is_mendable or damage.remedy in damage.told
        assert len(damage.remedy) > 5


def assert_says_what_to_do(message: str) -> None:
    assert any(file in message for file in (GRAPH, INDEX)), message
    assert any(words in message for words in ("restore a backup", "delete", "repair")), message


# ---------------------------------------------------------------------- what is harmless


@pytest.mark.parametrize(("file", "table"), PLACES)
def test_what_is_harmless_is_not_found_and_changes_nothing(
    template: Path, copied: Callable[[], Path], file: str, table: str
) -> None:
    """All of a table at once, each column in one way after the other."""
    wanted, states = held(template), sync_states(template)
    rounds: dict[int, list[Case]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for case in cases(template, file, table):
        if is_harmless(file, case):
            rounds[counts[name_of(case)]].append(case)
            counts[name_of(case)] += 1
    for together in rounds.values():
        directory = copied()
        for case in sorted(together, key=_names_last):
            tamper(directory / DATA_FOLDER / file, case)
        assert_nothing_happened(directory, together, wanted, states)


def _names_last(case: Case) -> bool:
    """The name of a row, by which the others find it, is changed behind them."""
    return case.column == "name"


def assert_nothing_happened(
    directory: Path, together: Sequence[Case], wanted: Mapping[str, object], states: Mapping[str, object]
) -> None:
    with opened(directory) as slipstream:
        full, deep = slipstream.verify(), slipstream.verify(deep=DEEP_ALL)
        shown = [str(case) for case in together]
        assert (full.damage, full.verdict) == ([], "consistent"), shown
        assert (deep.damage, deep.verdict) == ([], "consistent"), shown
        assert [hit.entity_id for hit in slipstream.search("renamed person of Bern at Acme", k=1)] == ["p5"]
        settle(slipstream)
    assert held(directory) == wanted, shown
    if together[0].table != "records":  # which the sync view shows
        assert sync_states(directory) == states, shown


# ---------------------------------------------------------------------- that nothing is left out


@pytest.mark.parametrize("file", TABLES)
def test_every_table_of_the_files_is_tampered_with(template: Path, file: str) -> None:
    found = {case.table for case in cases_of(template / DATA_FOLDER / file)}
    assert found == {*TABLES[file], "sqlite_sequence"}


@pytest.mark.parametrize("file", TABLES)
def test_the_table_of_what_is_harmless_is_exact(template: Path, file: str, tmp_path: Path) -> None:
    known: set[tuple[str, str]] = set()
    copy = Path(shutil.copy(template / DATA_FOLDER / file, tmp_path / "copy"))
    with untriggered(copy) as connection:
        for case in cases_of(template / DATA_FOLDER / file):
            for any_row in (False, True):
                ways = HARMLESS[file].get(name_of(case, any_row=any_row), ((), ""))[0]
                if case.way in ways:
                    connection.execute("SAVEPOINT tampered")
                    change(connection, case)  # one that the file refuses is no entry
                    connection.execute("ROLLBACK TO tampered")
                    known.add((name_of(case, any_row=any_row), case.way))
    assert known == {(name, way) for name, (ways, _) in HARMLESS[file].items() for way in ways}
    assert all(len(why) > 10 for _, why in HARMLESS[file].values())
