"""Reading a file is told of whatever is in it, so that it can be ended: by who gave it up, and by a server's end."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.app.slipstream import Slipstream
from slipstream.app.uploads import apply_events
from slipstream.events.import_state import ImportProgress
from tests.integration.served import opened

MIB = 1 << 20
NODE = b'{"type":"node","id":"1","labels":["T"],"properties":{"id":"one"}}\n'
EVENT = b'{"specversion":"1.0","id":"1","source":"s","type":"x"}\n'


class GivenUpError(Exception):
    """Whoever is told has had enough."""


@pytest.fixture
def slip(tmp_path: Path) -> Iterator[Slipstream]:
    with opened(tmp_path / "pkg") as slipstream:
        yield slipstream


def _small_file_of_much(path: Path, first: bytes) -> Path:
    path.write_bytes(gzip.compress(first + b"a" * (24 * MIB)))
    return path


def test_a_dump_can_be_ended_within_a_line_that_does_not_end(slip: Slipstream, tmp_path: Path) -> None:
    path = _small_file_of_much(tmp_path / "graph.jsonl.gz", NODE)
    told: list[ImportProgress] = []

    def enough(progress: ImportProgress) -> None:
        told.append(progress)
        if len(told) == 5:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        slip.importer().run(path, enough)
    assert all(0 < progress.done_bytes <= progress.total_bytes for progress in told)
    assert slip.importer().run(path).rejected == 1  # it goes on all the same when it is asked for again
    assert slip.get("one").type == "T"


def test_events_can_be_ended_within_a_line_that_does_not_end(slip: Slipstream, tmp_path: Path) -> None:
    path = _small_file_of_much(tmp_path / "events.jsonl.gz", EVENT)
    told: list[tuple[int, int]] = []

    def enough(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 5:
            raise GivenUpError

    with pytest.raises(GivenUpError):
        apply_events(slip.applier(), path, enough)
    assert all(0 < done <= total == path.stat().st_size for done, total in told)
