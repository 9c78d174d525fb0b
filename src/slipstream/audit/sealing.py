"""Signs the audits that are kept, links each to the one before it, and tells of what retention has forgotten."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from slipstream.audit.retention import every_audit
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.errors import InvalidInputError, NotFoundError, SlipstreamError
from slipstream.ports.audits import AuditLog, Seal
from slipstream.ports.clock import Clock
from slipstream.ports.journal import NamedValues
from slipstream.signing.chains import (
    AUDITS_MAX,
    CHAIN_SCHEMA,
    LINK,
    RETENTION_SCHEMA,
    Link,
    findings_digest,
    gaps_left,
    gaps_of,
    link_of,
)
from slipstream.signing.documents import verify
from slipstream.signing.keys import SigningKey

logger = logging.getLogger(__name__)

RETENTION = "audit_retention"
"""The name under which the journal keeps the signed list of what was forgotten."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What anybody needs to verify what a PKG has signed."""

    key_id: str
    pem: str


class Evidence:
    """
    The evidence of one PKG: its signing key, and the chain of its kept audits.

    Reading and signing are for any process of the PKG; `seal` and `forget` are for the one that keeps audits.
    """

    def __init__(self, key: SigningKey, audits: AuditLog, journal: NamedValues, clock: Clock) -> None:
        self.key = key
        """Signs, and has the public key."""
        self._audits, self._journal, self._clock = audits, journal, clock

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """
        Return plain data with a signature by the PKG's key.

        Raises `InvalidInputError` for values that JSON has no one form for, `ConfigError` and `UnavailableError` when
        the key can not be used.
        """
        return self.key.sign(document)

    # ------------------------------------------------------------------ keeping

    def seal(self, findings: Iterable[Finding]) -> Seal:
        """
        Return what signs the next audit that is kept, and links it to the newest one that is.

        An audit that can not be signed is kept all the same; its notes say why it is not.
        """
        link = self._next(findings)

        def sealed(report: Mapping[str, Any]) -> Mapping[str, Any]:
            linked = {**report, LINK: link}
            try:
                try:
                    return self.key.sign(linked)
                except InvalidInputError:
                    return self.key.sign(_plain(linked))
            except SlipstreamError as error:
                logger.warning("an audit is kept without a signature: %s", error)
                return {**report, "notes": [*report.get("notes", ()), f"not signed: {error}"]}

        return sealed

    def _next(self, findings: Iterable[Finding]) -> dict[str, Any]:
        newest = self._newest()
        return {
            "chain": token_hex(8) if newest is None else newest.chain,
            "number": 1 if newest is None else newest.number + 1,
            "previous": None if newest is None else newest.digest,
            "findings": findings_digest(findings),
        }

    def _newest(self) -> Link | None:
        for kept in self._audits.audits(None, 1):
            if (link := _link(kept)) is not None:
                return link
        return next((link for link in map(_link, every_audit(self._audits)) if link is not None), None)

    def forget(self, ids: Collection[int]) -> None:
        """Forget audits, and sign which were forgotten, so that the chain still holds around them."""
        links = [(audit.id in ids, link) for audit in every_audit(self._audits) if (link := _link(audit)) is not None]
        if links:
            chain = links[0][1].chain
            kept = [link for is_gone, link in links if not is_gone and link.chain == chain]
            gone = [link for is_gone, link in links if is_gone and link.chain == chain]
            self._tell_of(chain, kept, gone)
        self._audits.forget(ids)

    def _tell_of(self, chain: str, kept: list[Link], gone: list[Link]) -> None:
        before = self.retention()
        gaps = gaps_left(kept, gone, gaps_of(before) if before and before["chain"] == chain else ())
        told = {
            "schema": RETENTION_SCHEMA,
            "chain": chain,
            "made_at": self._clock.now().isoformat(),
            "forgotten": [gap.as_data() for gap in gaps],
        }
        try:
            self._journal.set(RETENTION, json.dumps(self.key.sign(told)))
        except SlipstreamError as error:
            logger.warning("audits are forgotten, and their chain will show it as missing ones: %s", error)

    def resealed(
        self, before: Mapping[str, Any], after: Mapping[str, Any], findings: Iterable[Finding]
    ) -> Mapping[str, Any]:
        """
        Return a kept report that an erasure has changed, signed anew; its chain holds, and says that it was changed.

        `before` is what is kept now, `after` the same without what is erased, and `findings` those that stay. One
        whose signature did not fit before is returned as `after`: an erasure does not cover up what others did.
        """
        try:
            if (link := link_of(before)) is None:
                return after
            replaced = [*link.replaces, verify(before).digest]
            told = {**after[LINK], "findings": findings_digest(findings), "replaces": replaced}
            return self.key.sign({**after, LINK: told})
        except SlipstreamError as error:
            logger.warning("an audit that an erasure has changed is not signed anew: %s", error)
            return after

    # ------------------------------------------------------------------ reading

    def public_key(self) -> PublicKey:
        """Return the public half of the key, made now if there is none; errors as of `sign`."""
        return PublicKey(self.key.key_id, self.key.public_pem)

    def retention(self) -> dict[str, Any] | None:
        """Return the signed list of what was forgotten, None while it is nothing."""
        text = self._journal.get(RETENTION)
        return None if text is None else dict(json.loads(text))

    def audit(self, audit_id: int) -> Mapping[str, Any]:
        """Return a kept audit as it was signed, to be verified by anybody; raises `NotFoundError`."""
        kept = self._audits.audit(audit_id)
        if kept is None:
            raise NotFoundError(f"audit {audit_id} is not kept (any more): list the audits, or audit again")
        return kept.report

    def kept(self, audit_id: int) -> dict[str, Any] | None:
        """Return where a kept audit stands in the chain, None for one that is not signed."""
        kept = self._audits.audit(audit_id)
        link = None if kept is None else _link(kept)
        return None if link is None else {"chain": link.chain, "number": link.number, "digest": link.digest}

    def chain(self, limit: int = AUDITS_MAX) -> dict[str, Any]:
        """Return the newest audits, oldest first, and what was forgotten between them, signed as one document."""
        audits = [kept.report for kept in reversed(self._audits.audits(None, limit))]
        return self.key.sign(
            {
                "schema": CHAIN_SCHEMA,
                "made_at": self._clock.now().isoformat(),
                "audits": audits,
                "retention": self.retention(),
            }
        )

    def findings_fit(self, audit_id: int) -> bool:
        """Whether the keys that a kept audit names are those that it was signed with."""
        report = self.audit(audit_id)
        found: list[Finding] = []
        while page := self._audits.findings(audit_id, found[-1] if found else None, 1_000):
            found += page
        return bool(findings_digest(found) == report.get(LINK, {}).get("findings"))


def signed_with(evidence: Evidence, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its signature; text and numbers that have no one form are written as text first."""
    try:
        return evidence.sign(document)
    except InvalidInputError:
        return evidence.sign(_plain(dict(document)))


def _link(audit: KeptAudit) -> Link | None:
    try:
        return link_of(audit.report)
    except InvalidInputError:  # somebody has been at it: the next one follows on the newest that can be read
        return None


def _plain(value: Any) -> Any:
    """Return plain data that can be signed: lone surrogates by their escapes, integers beyond 2^53 as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_plain(str(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and abs(value) >= 1 << 53:
        return str(value)
    return value
