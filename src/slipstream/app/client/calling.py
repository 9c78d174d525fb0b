"""The asking side over a wire: short operations are asked directly, long ones as requests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Never

from slipstream.app.client.answers import not_understood
from slipstream.app.client.graph import refused
from slipstream.app.client.requests import WireRequests
from slipstream.app.client.wire import Wire
from slipstream.app.remote.calling import PATIENCE_S, Caller
from slipstream.app.remote.operations import OPERATIONS
from slipstream.app.remote.serving_operations import SERVED, operation_served
from slipstream.audit.sealing import Evidence, PublicKey
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.errors import SlipstreamError, UnsupportedError
from slipstream.ports.clock import Clock
from slipstream.signing.chains import AUDITS_MAX

_SIGNED_THERE = "the server signs, with the key in its directory: take `audit(id)` or `chain()`"


class WireEvidence(Evidence):
    """The evidence of a server's PKG: to be read and verified here, and signed there."""

    def __init__(self, caller: WireCaller, clock: Clock) -> None:
        super().__init__(
            refused("signing", _SIGNED_THERE), WireAudits(caller), refused("journal", _SIGNED_THERE), clock
        )
        self._caller = caller

    def public_key(self) -> PublicKey:
        """Ask the server."""
        found: PublicKey = self._caller.call("evidence.public_key")
        return found

    def chain(self, limit: int = AUDITS_MAX) -> dict[str, Any]:
        """Ask the server."""
        found: dict[str, Any] = self._caller.call("evidence.chain", limit)
        return found


class WireCaller(Caller):
    """Asks a server as a guest asks the owner of the engine, with the same table and the same errors."""

    def __init__(self, wire: Wire, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        self.wire = wire
        super().__init__(WireRequests(wire), WireAudits(self), clock, patience_s=patience_s)

    def within(self, patience_s: float) -> WireCaller:
        """Return a caller that gives up after `patience_s`."""
        return WireCaller(self.wire, self._clock, patience_s=patience_s)

    def call(self, name: str, *args: object, **kwargs: object) -> Any:
        """Return what the operation returns in the server, or raise what it raises; callbacks get its progress."""
        if not _is_direct(name):
            return super().call(name, *args, **kwargs)
        operation = operation_served(name)
        text, callbacks = operation.signature.arguments_as_json(args, kwargs)
        if callbacks:
            return super().call(name, *args, **kwargs)
        arguments = json.loads(text)["arguments"]
        waits_s = float(arguments.get("timeout_s") or 0.0)
        found = self.wire.post(
            f"/v1/operations/{name}{f'?wait_s={waits_s:g}' if waits_s else ''}",  # so it takes no room from others
            {"arguments": arguments},
            timeout_s=self.wire.timeout_s + waits_s,
            is_safe=operation.scope == "read" or arguments.get("event_id") is not None,
        )
        result = found["result"]
        try:
            return operation.signature.result(result, self._audits)
        except SlipstreamError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise not_understood(f"an answer to {name} that is none") from error


_WAITED_FOR = ("search", "why_not", "store.index.scan", "sync.wait_for_some")


def _is_direct(name: str) -> bool:
    """Return whether an operation takes a moment only, or is waited for anyhow; anything else is a request."""
    operation = SERVED.get(name) or OPERATIONS.get(name)
    return operation is None or not operation.is_long or name in _WAITED_FOR


class WireAudits:
    """The kept audits of a server's PKG, for reading."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def audits(self, before: int | None, limit: int) -> Sequence[KeptAudit]:
        """Return kept audits, newest first."""
        found: Sequence[KeptAudit] = self._caller.call("audits.audits", before, limit)
        return found

    def audit(self, audit_id: int) -> KeptAudit | None:
        """Return one kept audit."""
        found: KeptAudit | None = self._caller.call("audits.audit", audit_id)
        return found

    def findings(
        self, audit_id: int, after: Finding | None, limit: int, kind: str | None = None
    ) -> Sequence[Finding]:
        """Return what a kept audit found."""
        found: Sequence[Finding] = self._caller.call("audits.findings", audit_id, after, limit, kind)
        return found

    def keep(self, report: object, findings: object, seal: object = None) -> Never:
        """Raise: audits are kept where they are made."""
        del report, findings, seal
        raise UnsupportedError("an audit is kept by the process that makes it: call `verify`")

    def forget(self, ids: object) -> Never:
        """Raise: the server forgets audits by its own rules."""
        del ids
        raise UnsupportedError(
            "audits are forgotten by the server, as `history_mb` in [scrub] of its slipstream.toml says"
        )
