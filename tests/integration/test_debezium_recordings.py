"""
Records of the real Debezium for PostgreSQL end as PostgreSQL itself says, applied once and applied twice.

`python -m bench.recordings` recorded them and selected the rows at the end: nothing right here comes from our parser.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from bench.recordings.columns import COLUMNS, SETTINGS
from bench.recordings.events import EVENTS
from bench.recordings.keys import KEYS
from typer.testing import CliRunner

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.app.slipstream import Slipstream
from slipstream.cli.app import app
from slipstream.domain.entities import EntityState
from slipstream.domain.feed_changes import FeedOptions
from slipstream.events.applying import ApplyReport
from slipstream.ports.scans import scan_graph
from slipstream.testkit.embedders import HashEmbedder
from tests.integration.recorded import Recording, is_encoded, is_kept, says_itself

RECORDINGS = Recording.all()
BY_NAME = {recording.name: recording for recording in RECORDINGS}
PLACEHOLDER = "__debezium_unavailable_value"


Found = dict[str, tuple[str, dict[str, Any]]]
"""Entities by id: type and properties."""


@contextmanager
def _opened(folder: Path) -> Iterator[Slipstream]:
    options = Options(embedders=(HashEmbedder(dimension=16),), views=())
    with open_pkg(folder, config=Config(), options=options, run=False) as slip:
        yield slip


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with _opened(tmp_path / "pkg") as opened:
        yield opened


@pytest.fixture(scope="module")
def with_schemas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    """One PKG for all recordings: their tables are different ones."""
    with _opened(tmp_path_factory.mktemp("schemas")) as opened:
        yield opened


@pytest.fixture(scope="module")
def without_schemas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    """The same, for records without schemas."""
    with _opened(tmp_path_factory.mktemp("plain")) as opened:
        yield opened


def _entities(slip: Slipstream, recording: Recording) -> Found:
    """Return the entities of the recording's tables."""
    prefixes = tuple(f"{topic}:" for topic in recording.topics)
    keys = [row.key for row in scan_graph(slip.pkg) if row.key.id.startswith(prefixes)]
    states = slip.pkg.read(keys, {}).states
    return {
        state.entity.id: (state.entity.type, dict(state.entity.properties))
        for state in states.values()
        if isinstance(state, EntityState)
    }


def _wrong(recording: Recording, entities: Found) -> list[str]:
    """Return how entities differ from the rows that PostgreSQL has."""
    rows = recording.rows()
    wrong = [f"{name}: is not there" for name in rows.keys() - entities.keys()]
    wrong += [f"{name}: is too many" for name in entities.keys() - rows.keys()]
    for name in rows.keys() & entities.keys():
        (kind, columns), (held_kind, held) = rows[name], entities[name]
        wrong += [f"{name}: is a {held_kind}, not a {kind}"] * (kind != held_kind)
        wrong += [f"{name}.{extra}: is no column" for extra in held.keys() - columns.keys()]
        wrong += [
            f"{name}.{column}: is {str(held.get(column))[:80]!r}, and PostgreSQL says {str(text)[:80]!r} ({declared})"
            for column, (declared, text) in columns.items()
            if not is_kept(declared, held.get(column), text, recording.settings)
        ]
    return wrong


def _apply(slip: Slipstream, lines: Sequence[str], feed: FeedOptions) -> ApplyReport:
    return slip.applier(feed).run([lines])


@pytest.mark.parametrize("name", BY_NAME)
def test_a_recording_ends_as_postgresql_says(with_schemas: Slipstream, name: str) -> None:
    slip, recording = with_schemas, BY_NAME[name]
    report = _apply(slip, recording.lines, recording.options)
    found = _entities(slip, recording)
    assert _wrong(recording, found) == []
    assert (report.rejected, dict(report.passed)) == (recording.right["refused"], recording.right["passed"]), (
        report.errors
    )
    assert report.seen == len(recording.lines)

    again = _apply(slip, recording.lines, recording.options)
    assert (again.applied, again.rejected, again.passed) == (0, report.rejected, report.passed), "nothing is new"
    assert _entities(slip, recording) == found


@pytest.mark.parametrize("name", [name for name, recording in BY_NAME.items() if recording.has_schemas])
def test_without_schemas_the_same_rows_are_there_and_what_can_not_be_told_is_said(
    without_schemas: Slipstream, name: str
) -> None:
    slip, recording = without_schemas, BY_NAME[name]
    report = _apply(slip, recording.plain_lines, recording.options)
    found, rows = _entities(slip, recording), recording.rows()
    assert report.rejected == recording.right["refused"], report.errors
    assert len(found) == len(rows), "a key may be encoded, too"
    if found.keys() == rows.keys():
        for column, declared, value in _other_columns(recording, found):
            assert is_encoded(declared), column
            assert says_itself(declared, value) or column in report.notes, f"{column}: nothing is said of {value}"


def _other_columns(recording: Recording, found: Found) -> Iterator[tuple[str, str, Any]]:
    """Return the columns, with their types, whose values are not as PostgreSQL says."""
    for name, (_, columns) in recording.rows().items():
        for column, (declared, text) in columns.items():
            value = found[name][1].get(column)
            if not is_kept(declared, value, text, recording.settings):
                yield f"{name.partition(':')[0]}.{column}", declared, value


@pytest.mark.parametrize(
    "name",
    ["numeric", "dates", "timestamps", "times", "intervals", "json", "bytes", "bits", "points", "floats", "network"],
)
def test_what_is_compared_tells_one_value_from_another(with_schemas: Slipstream, name: str) -> None:
    recording = BY_NAME[name]
    _apply(with_schemas, recording.lines, recording.options)
    found, rows = _entities(with_schemas, recording), recording.rows()
    compared = 0
    for one, other in permutations(rows, 2):
        for column, (declared, text) in rows[one][1].items():
            if rows[other][1][column][1] != text:
                compared += 1
                assert not is_kept(declared, found[other][1].get(column), text, recording.settings), (column, text)
    assert compared > 0


@pytest.mark.parametrize("form", ["objects", "bare"])
@pytest.mark.parametrize("name", ["life", "key-changed-unsent", "unsent-texts", "columns-dropped", "key-composite"])
def test_other_envelopes_around_the_same_records_end_the_same(slip: Slipstream, name: str, form: str) -> None:
    """Key and value as objects, without a place; or the values alone, told what the key is."""
    recording = BY_NAME[name]
    records = [json.loads(line) for line in recording.lines]
    feed = recording.options
    if form == "objects":
        lines = [
            json.dumps(
                {part: None if record[part] is None else json.loads(record[part]) for part in ("key", "value")}
                | {"topic": record["topic"], "headers": record["headers"]}
            )
            for record in records
        ]
    else:
        feed = FeedOptions(key_columns={table: said["key"] for table, said in recording.right["tables"].items()})
        lines = [record["value"] for record in records if record["value"] is not None]
    report = _apply(slip, lines, feed)
    if form == "bare" and name == "key-changed-unsent":  # what the key was is in the headers
        assert report.notes or report.rejected
        return
    assert (report.rejected, report.errors) == (0, [])
    assert _wrong(recording, _entities(slip, recording)) == []


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith("unsent") or "changed" in name])
def test_the_placeholder_of_what_was_not_sent_is_nowhere(slip: Slipstream, name: str) -> None:
    recording = BY_NAME[name]
    _apply(slip, recording.lines, recording.options)
    assert PLACEHOLDER not in repr(_entities(slip, recording))
    assert "95, 95, 100, 101, 98" not in repr(_entities(slip, recording)), "its characters, as numbers"
    assert "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ" not in repr(_entities(slip, recording)), "its base64"


@pytest.mark.parametrize(
    "name", ["life", "columns-dropped", "truncated", "key-changed", "key-changed-composite", "sent-again"]
)
def test_records_that_come_again_one_by_one_put_nothing_old_back(slip: Slipstream, name: str) -> None:
    recording = BY_NAME[name]
    _apply(slip, recording.lines, recording.options)
    found = _entities(slip, recording)
    for line in recording.lines:
        _apply(slip, [line], recording.options)
        assert _entities(slip, recording) == found
    assert _wrong(recording, found) == []


@pytest.mark.parametrize("name", ["life", "key-composite", "key-uuid", "same-name", "truncated", "identity-full"])
def test_snapshot_rows_behind_the_changes_put_nothing_old_back(slip: Slipstream, name: str) -> None:
    """As when a new connector reads tables while the old one's changes are applied already."""
    recording = BY_NAME[name]
    changes = [line for line in recording.lines if not _is_read(line)]
    snapshot = [line for line in recording.lines if _is_read(line)]
    assert snapshot
    _apply(slip, changes, recording.options)
    report = _apply(slip, snapshot, recording.options)
    assert (report.rejected, report.outdated > 0) == (0, True)
    assert _wrong(recording, _entities(slip, recording)) == []


def _is_read(line: str) -> bool:
    return '"op":"r"' in (json.loads(line)["value"] or "")


def test_a_partition_that_nobody_explained_makes_no_second_entity(slip: Slipstream) -> None:
    recording = BY_NAME["partitioned"]
    report = _apply(slip, recording.lines, FeedOptions())
    assert report.rejected > 0
    assert all(name.startswith("kg.public.event:") for name in _entities(slip, recording))
    assert any("--table" in error for error in report.errors)


@pytest.mark.parametrize(
    "name",
    [
        *("numeric", "key-composite", "truncated-together", "flat-rewritten", "messages"),
        *("no-key", "no-key-told", "partitioned", "unsent-doubles"),
    ],
)
def test_a_recording_from_the_command_line(tmp_path: Path, name: str) -> None:
    recording = BY_NAME[name]
    runner, of = CliRunner(), ["--dir", str(tmp_path)]
    assert runner.invoke(app, [*of, "init"]).exit_code == 0
    told = recording.command_line_options
    result = runner.invoke(app, [*of, "apply", str(recording.path), *told, "--no-sync", "--json"])
    said = json.loads(result.stdout)
    assert result.exit_code == (1 if recording.right["refused"] else 0)
    assert (said["rejected"], said["passed"]) == (recording.right["refused"], recording.right["passed"])
    with open_pkg(tmp_path, run=False) as slip:
        assert _wrong(recording, _entities(slip, recording)) == []


def test_each_shape_that_is_recorded_has_its_recording() -> None:
    shapes = [shape.name for shape in (*COLUMNS, *SETTINGS, *KEYS, *EVENTS)]
    assert sorted(shapes) == sorted(BY_NAME)
    assert all(recording.lines for recording in RECORDINGS)
