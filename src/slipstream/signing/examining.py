"""Verifies files of signed documents without the PKG: every signature in them, and the chains of their audits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipstream.domain.errors import CorruptionError, InvalidInputError
from slipstream.signing.chains import RETENTION_SCHEMA, ChainFound, Gap, Link, examine_chains, gaps_of, link_of
from slipstream.signing.documents import Verified, is_signed, key_id_of, verify

VALID, ALTERED, UNKNOWN = "valid", "altered", "unknown"
_DEPTH_MAX = 8


@dataclass(frozen=True, slots=True)
class FileFound:
    """What one file turned out to be."""

    name: str
    schema: str
    """Of the document, as it says itself; empty when it does not."""
    verdict: str
    """`valid`, `altered`, or `unknown` when there is nothing in it to verify."""
    said: str
    """Why, in one sentence; empty when it is valid."""
    key_id: str | None = None
    digest: str | None = None
    inner: int = 0
    """Signed documents inside of it, each with a signature of its own that fits."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What all files together prove."""

    files: tuple[FileFound, ...]
    chains: tuple[ChainFound, ...]
    keys: tuple[str, ...]
    """The keys that signed, by id."""
    is_known_key: bool
    """Whether every signature is by a key that was given; False where none was given."""

    @property
    def verdict(self) -> str:
        """`altered` when anything does not fit, else `unknown` when a file could not be verified, else `valid`."""
        found = {file.verdict for file in self.files}
        if ALTERED in found or any(chain.problems for chain in self.chains):
            return ALTERED
        return UNKNOWN if UNKNOWN in found or not found else VALID

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "verdict": self.verdict,
            "keys": list(self.keys),
            "known_key": self.is_known_key,
            "files": [{name: getattr(file, name) for name in FileFound.__dataclass_fields__} for file in self.files],
            "chains": [
                {
                    **{name: getattr(chain, name) for name in ChainFound.__dataclass_fields__},
                    "problems": [*chain.problems],
                }
                for chain in self.chains
            ],
        }


class Examining:
    """Takes one file after the other, and tells in the end what they prove together."""

    def __init__(self, public_keys: Sequence[bytes] = ()) -> None:
        self._expected = {key_id_of(key): key for key in public_keys}
        self._files: list[FileFound] = []
        self._links: list[Link] = []
        self._gaps: dict[str, list[Gap]] = {}
        self._keys: dict[str, None] = {}

    def add(self, name: str, document: object) -> None:
        """Verify one file, already parsed; `name` is how it is called in what is told."""
        if not isinstance(document, Mapping):
            self.unreadable(name, "holds no JSON object")
            return
        schema = str(document.get("schema", ""))
        try:
            outer = self._verified(document)
            inner = self._within(document)
            _check_kept(document, inner)
        except CorruptionError as error:
            self._files.append(FileFound(name, schema, ALTERED, str(error)))
        except InvalidInputError as error:
            self._files.append(FileFound(name, schema, UNKNOWN, str(error)))
        else:
            self._files.append(FileFound(name, schema, VALID, "", outer.key_id, outer.digest, len(inner)))

    def unreadable(self, name: str, why: str) -> None:
        """Take note of a file that can not be read."""
        self._files.append(FileFound(name, "", UNKNOWN, why))

    def examined(self) -> Examined:
        """Return what the files prove."""
        return Examined(
            tuple(self._files),
            tuple(examine_chains(self._links, self._gaps)),
            tuple(self._keys),
            bool(self._expected) and self._keys.keys() <= self._expected.keys(),
        )

    def _verified(self, document: Mapping[str, Any]) -> Verified:
        signature = document.get("signature")
        named = signature.get("key_id") if isinstance(signature, Mapping) else None
        found = verify(document, self._key_for(named))
        self._keys[found.key_id] = None
        if document.get("schema") == RETENTION_SCHEMA:
            self._gaps.setdefault(str(document.get("chain")), []).extend(gaps_of(document))
        elif (link := link_of(document)) is not None:
            self._links.append(link)
        return found

    def _key_for(self, named: object) -> bytes | None:
        """Return the key that must have signed: that of this name, or any of those that were given, to be told."""
        if not self._expected:
            return None
        return self._expected.get(str(named), next(iter(self._expected.values())))

    def _within(self, document: Mapping[str, Any]) -> dict[str, Verified]:
        """Verify the signed documents inside of another one; returns them by digest."""
        found: dict[str, Verified] = {}
        for place, inner in _signed_in(document, "", _DEPTH_MAX):
            try:
                verified = self._verified(inner)
            except (CorruptionError, InvalidInputError) as error:
                raise CorruptionError(f"{place}: {error}") from error
            found[verified.digest] = verified
        return found


def _check_kept(document: Mapping[str, Any], inner: Mapping[str, Verified]) -> None:
    """Compare what a file says of its own audit's place in the chain with the audits in it."""
    kept = document.get("kept")
    if isinstance(kept, Mapping) and inner and kept.get("digest") not in inner:
        raise CorruptionError("the audit that it is of is not among those in it: the file was put together anew")


def _signed_in(value: object, place: str, depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the signed documents inside of a value, with where they are, but not the value itself."""
    if depth == 0:
        return
    items: Iterator[tuple[str, object]]
    if isinstance(value, Mapping):
        items = ((f"{place}.{name}" if place else str(name), item) for name, item in value.items())
    elif isinstance(value, list):
        items = ((f"{place}[{number}]", item) for number, item in enumerate(value))
    else:
        return
    for where, item in items:
        if isinstance(item, Mapping) and is_signed(item):
            yield where, item
        yield from _signed_in(item, where, depth - 1)
