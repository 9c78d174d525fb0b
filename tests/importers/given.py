"""A reader of rows that a test gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, Stage, Tell

Content = EntityRow | RelationshipRow | RefusedRow


@dataclass(frozen=True)
class Given:
    """Yields entities first, then relationships, each under a number of its own."""

    contents: Sequence[Content]
    identity: str = "given"
    form: str = "rows of a test"
    name: str = "given"
    has_relationships: bool = True

    @property
    def size_bytes(self) -> int:
        """As many bytes as there are rows."""
        return len(self.contents)

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield the rows of a stage."""
        for number, content in enumerate(self.contents, 1):
            is_second = isinstance(content, RelationshipRow)
            if is_second == (stage is Stage.RELATIONSHIPS):
                yield Row(number, f"row {number}", content)
            tell(number)
