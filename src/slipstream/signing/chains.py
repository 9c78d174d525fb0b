"""
Chains of signed audits: each names the digest of the one before it, so that none can be taken out or put in unseen.

A report that is kept has its link under `evidence`: the `chain`, its `number` in it, the digest of the `previous`
one, and that of its `findings`. What retention forgets leaves a `Gap`, in a signed list; an audit that an erasure has
changed is signed anew, and says which digests it `replaces`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from slipstream.domain.errors import InvalidInputError
from slipstream.signing.documents import digest_of

if TYPE_CHECKING:
    from slipstream.domain.audits import Finding

LINK = "evidence"
CHAIN_SCHEMA = "slipstream.chain/1"
"""A signed document with `audits`, oldest first, and the `retention` of their chain."""
RETENTION_SCHEMA = "slipstream.retention/1"
AUDITS_MAX = 200
"""How many audits a chain is written out with, unless it is said otherwise."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where one signed audit stands in its chain."""

    chain: str
    number: int
    """From 1."""
    previous: str | None
    """The digest of the one before it; None for the first one."""
    digest: str
    replaces: tuple[str, ...] = ()
    """The digests that it had before erasures changed it, oldest first."""

    def stands_for(self, digest: str | None) -> bool:
        """Whether a later audit that names this digest means this one."""
        return digest == self.digest or digest in self.replaces


@dataclass(frozen=True, slots=True)
class Gap:
    """Audits of a chain that retention has forgotten, one behind the other."""

    first: int
    last: int
    before: str | None
    """The digest of the one before the first of them; None where the first one began the chain."""
    digest: str
    """That of the last of them."""

    def as_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"first": self.first, "last": self.last, "before": self.before, "digest": self.digest}


def findings_digest(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return how many keys an audit names, and a SHA-256 of them and their classes, whatever their order."""
    hashes = {hashlib.sha256(f"{each.kind}\0{each.key}".encode(errors="replace")).digest() for each in findings}
    return {"count": len(hashes), "digest": hashlib.sha256(b"".join(sorted(hashes))).hexdigest()}


def link_of(document: Mapping[str, Any]) -> Link | None:
    """Return the link of a signed audit, None for anything else; raises `InvalidInputError` for a damaged one."""
    told = document.get(LINK)
    if not isinstance(told, Mapping) or "number" not in told or "signature" not in document:
        return None
    try:
        link = Link(
            str(told["chain"]),
            int(told["number"]),
            None if told["previous"] is None else str(told["previous"]),
            digest_of(document),
            tuple(str(digest) for digest in told.get("replaces", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"is no link of a chain ({error})", field=LINK) from error
    if link.number < 1:
        raise InvalidInputError(f"is {link.number}, must be at least 1", field=f"{LINK}.number")
    return link


def gaps_of(retention: Mapping[str, Any] | None) -> list[Gap]:
    """Return what a list of retention says was forgotten; raises `InvalidInputError` for a damaged one."""
    if retention is None:
        return []
    try:
        return [
            Gap(int(told["first"]), int(told["last"]), told["before"], str(told["digest"]))
            for told in retention["forgotten"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"is no list of forgotten audits ({error})", field="forgotten") from error


def gaps_left(kept: Iterable[Link], forgotten: Iterable[Link], gaps: Iterable[Gap]) -> list[Gap]:
    """Return the gaps when more is forgotten: joined where they touch, and none before the oldest that is kept."""
    oldest = min((link.number for link in kept), default=0)
    single = (Gap(link.number, link.number, link.previous, link.digest) for link in forgotten)
    left: list[Gap] = []
    for gap in sorted({*gaps, *single}, key=lambda gap: (gap.first, -gap.last)):
        if left and gap.last <= left[-1].last:
            continue  # told twice: a process died between writing this list and forgetting
        if left and gap.first == left[-1].last + 1:
            left[-1] = replace(left[-1], last=gap.last, digest=gap.digest)
        else:
            left.append(gap)
    return [gap for gap in left if gap.first > oldest]


@dataclass(frozen=True, slots=True)
class ChainFound:
    """One chain, as far as the documents at hand tell of it."""

    chain: str
    first: int
    last: int
    kept: int
    """Audits that are there."""
    forgotten: int
    """Audits between the first and the last one that retention has forgotten, as a signed list says."""
    newest: str
    """The digest of the last one: whoever writes it down can tell later whether the end was cut off."""
    problems: tuple[str, ...]


def examine_chains(links: Iterable[Link], gaps: Mapping[str, Sequence[Gap]]) -> list[ChainFound]:
    """Return each chain of some audits, whose signatures fit, with whatever breaks it; `gaps` are by chain."""
    by_chain: dict[str, list[Link]] = {}
    for link in links:
        by_chain.setdefault(link.chain, []).append(link)
    return [_examined(chain, found, gaps.get(chain, ())) for chain, found in by_chain.items()]


def _examined(chain: str, links: Sequence[Link], gaps: Sequence[Gap]) -> ChainFound:
    kept, problems = _by_number(links)
    forgotten = 0
    for before, after in pairwise(kept):
        if after.number > before.number + 1:
            gap = _gap_between(before, after, gaps)
            if gap is None:
                missing = _numbers(before.number + 1, after.number - 1)
                problems.append(f"{missing} missing: not among these files, and not forgotten by retention")
                continue
            forgotten += after.number - before.number - 1
            problems += _beside(before, after, gap)
        elif not before.stands_for(after.previous):
            problems.append(f"number {after.number} does not follow on number {before.number} as it is here")
    first = kept[0]
    if first.number == 1 and first.previous is not None:
        problems.append("number 1 names one before it")
    return ChainFound(chain, first.number, kept[-1].number, len(kept), forgotten, kept[-1].digest, tuple(problems))


def _by_number(links: Sequence[Link]) -> tuple[list[Link], list[str]]:
    kept: dict[int, Link] = {}
    problems: list[str] = []
    for link in links:
        other = kept.setdefault(link.number, link)
        if link.stands_for(other.digest):
            kept[link.number] = link  # the same, or signed anew behind an erasure
        elif not other.stands_for(link.digest):
            problems.append(f"there are two different audits of number {link.number}: of a restored copy, or forged")
    return [kept[number] for number in sorted(kept)], problems


def _gap_between(before: Link, after: Link, gaps: Sequence[Gap]) -> Gap | None:
    fitting = [gap for gap in gaps if gap.first <= before.number + 1 and gap.last >= after.number - 1]
    return min(fitting, key=lambda gap: gap.last - gap.first, default=None)


def _beside(before: Link, after: Link, gap: Gap) -> Iterator[str]:
    if gap.first == before.number + 1 and not before.stands_for(gap.before):
        yield f"what was forgotten behind number {before.number} does not follow on it as it is here"
    if gap.last == after.number - 1 and gap.digest != after.previous:
        yield f"number {after.number} does not follow on what was forgotten before it"


def _numbers(first: int, last: int) -> str:
    return f"number {first} is" if first == last else f"numbers {first} to {last} are"
