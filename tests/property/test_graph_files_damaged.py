"""However a graph file is damaged, it is refused, or its rows are ones that a graph takes or refuses by name."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.domain.errors import ConfigError
from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import reader_of
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Stage
from tests.depth import deeper, examples
from tests.unit.importers.graph_files import GRAPHS

FILES = sorted(path for path in GRAPHS.iterdir() if path.suffix in (".graphml", ".json"))
MARKS = [b"", b"<", b">", b'"', b"{", b"}", b"[", b"]", b",", b"&", b"\0", b"\xff", b"null", b"1e999", b"-", b"\xc3"]
TAGS = [b"<node/>", b"<edge/>", b"</graph>", b"<graph>", b"<data key='d0'>x</data>", b"<!-- ", b"]]>", b"{}", b'"id"']
PIECES = st.sampled_from([*MARKS, *TAGS])
DAMAGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), min_size=1, max_size=3)
OPTIONS = st.sampled_from(
    [ReadOptions(), ReadOptions(id_column="name"), ReadOptions(id_prefix="x:", entity_type="T")]
)


def damaged(content: bytes, damages: list[tuple[float, int, bytes]]) -> bytes:
    """Return a content with some places overwritten."""
    for place, length, piece in damages:
        at = int(place * len(content))
        content = content[:at] + piece + content[at + length :]
    return content


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@deeper
@settings(max_examples=examples(100, 5_000))
@given(damages=DAMAGES, options=OPTIONS)
def test_a_damaged_file_is_refused_or_read(path: Path, damages: Any, options: ReadOptions) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        file.write_bytes(damaged(path.read_bytes(), damages))
        assert source_files([file])
        reader = reader_of([file], options, "graphml" if path.suffix == ".graphml" else "node-link")
        for stage in Stage:
            numbers, told = [], path.name  # not every damage is one
            try:
                for row in reader.rows(stage, lambda _: None):
                    numbers.append(row.number)
                    check(row.content)
            except ConfigError as error:
                told = str(error)
            assert path.name in told
            assert numbers == list(range(1, len(numbers) + 1))


def check(content: EntityRow | RelationshipRow | RefusedRow) -> None:
    """Check that a row is one of texts, and says what is wrong if it is refused."""
    if isinstance(content, RefusedRow):
        assert str(content.error)
        return
    ids = (content.id,) if isinstance(content, EntityRow) else (content.source_id, content.target_id)
    assert all(isinstance(each, str) and each for each in (*ids, content.type))
    assert "id" not in content.properties
