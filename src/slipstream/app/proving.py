"""What a PKG proves of itself: its audits, and the evidence that others verify without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipstream.audit.auditor import Auditor
from slipstream.audit.sealing import Evidence
from slipstream.domain.errors import ConfigError
from slipstream.ports.audits import AuditLog

if TYPE_CHECKING:
    from slipstream.app.slipstream import Parts


class Proving:
    """The parts of a PKG that audit it, and keep what was found."""

    _parts: Parts

    @property
    def auditor(self) -> Auditor:
        """Audits graph and index."""
        return self._parts.auditor

    @property
    def audits(self) -> AuditLog:
        """Finished audits with everything they found, newest first."""
        return self._parts.audits

    @property
    def evidence(self) -> Evidence:
        """The signing key of this PKG, and the chain of its audits: what others verify without it."""
        if self._parts.evidence is None:
            raise ConfigError("nothing is signed here: there is no directory for a key")
        return self._parts.evidence
