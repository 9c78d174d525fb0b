"""What the tampering suite needs of a vendor: raw access to a closed store, past the adapter."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from slipstream.domain.models import Space
from slipstream.domain.stamps import MetadataValue, Vector


class RefusedError(Exception):
    """The store itself refuses what a raw client wants to write."""


class RawStore(ABC):
    """
    An index's own store, opened with the vendor's own client while nobody else has it open.

    Keys are encoded (`e:…`, `r:…`) and each has one record when a test begins. Fields are named as those of `Stamp`.
    What the store does not take raises `RefusedError` and changes nothing.
    """

    @abstractmethod
    def keys(self) -> list[str]:
        """Return the ids of all records, in order."""

    @abstractmethod
    def fields(self, key: str) -> dict[str, object]:
        """Return the stamp's plain fields as they are stored."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a record, and nothing else."""

    @abstractmethod
    def insert(self, identity: str, like: str, without: Sequence[str] = ()) -> None:
        """Add a record with any id: a copy of another one, without some fields."""

    @abstractmethod
    def copy_to(self, key: str, space: Space) -> None:
        """Add a copy of a record in another space."""

    @abstractmethod
    def move_to(self, key: str, space: Space) -> None:
        """Move a record to another space."""

    @abstractmethod
    def edit(self, key: str, name: str, value: object) -> None:
        """Set a field of a stamp to anything; None removes it."""

    @abstractmethod
    def edit_metadata(self, key: str, name: str, value: MetadataValue | None) -> None:
        """Set a value that is kept for filters; None removes it."""

    @abstractmethod
    def vector(self, key: str) -> Vector:
        """Return a stored vector."""

    @abstractmethod
    def put_vector(self, key: str, vector: Vector) -> None:
        """Replace a vector, and nothing else; of any dimension."""

    @abstractmethod
    def drop_vector(self, key: str) -> None:
        """Remove a vector, and nothing else."""

    @abstractmethod
    def bury(self, key: str, position: int) -> None:
        """Write a tombstone."""
