"""The validator of a guest: the owner audits, and repairs what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream.app.pkg import PKG
from slipstream.app.remote.calling import Caller
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import UNRENDERABLE, AuditReport, divergent_keys_of
from slipstream.audit.validator import EmbeddingConsistencyValidator
from slipstream.evolution.store import SchemaVersionedEmbeddingStore


class GuestValidator(EmbeddingConsistencyValidator):
    """Has the owner of the engine repair: only the owner can remove what stands in the way of a repair."""

    def __init__(self, pkg: PKG, store: SchemaVersionedEmbeddingStore, auditor: Auditor, caller: Caller) -> None:
        super().__init__(pkg, store, auditor=auditor)
        self._caller = caller

    def repair_inconsistencies(self, validation_result: Mapping[str, Any] | AuditReport) -> int:
        """Have everything divergent marked; returns how many keys."""
        if isinstance(validation_result, AuditReport):
            found = {**validation_result.all_divergences(), UNRENDERABLE: validation_result.unrenderable}
        else:
            found = dict(divergent_keys_of(validation_result))
        told = {name: [key.encode() for key in keys] for name, keys in found.items() if keys}
        return int(self._caller.call("validator.repair_inconsistencies", told))
