"""What all readers of files have alike."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions


class FilesReader:
    """The part of a `RowReader` that is about its files, not about what is in them."""

    def __init__(self, files: Sequence[SourceFile], options: ReadOptions) -> None:
        self._files, self._options = files, options

    @property
    def name(self) -> str:
        """The paths."""
        return ", ".join(file.name for file in self._files)

    @property
    def identity(self) -> str:
        """What differs when a file, or an option of reading, does."""
        return "\0".join([*(file.identity for file in self._files), self._options.told()])

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size_bytes for file in self._files)
