"""An index that only its owner can open, for a guest: what the guest reads of it is asked of the owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.app.remote.calling import Caller
from slipstream.app.remote.parts import remote_part
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import KeyStamps
from slipstream.ports.index import IndexCapabilities, VectorIndex


class _AskedIndex:
    """Methods of `VectorIndex` that are asked in another form."""

    capabilities = IndexCapabilities()

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def stamps(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, KeyStamps]:
        """Return what is held of the keys."""
        return dict(self._caller.call("store.index.held", keys))


def asked_index(caller: Caller) -> VectorIndex:
    """Return what stands in for the index; searches of a guest are asked as a whole."""
    own = ("capabilities", "stamps")
    return remote_part(VectorIndex, caller, "store.index", _AskedIndex(caller), own)  # type: ignore[type-abstract]
