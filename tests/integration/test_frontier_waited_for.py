"""Read your own write while the index is slow and other commits come in between, over both indexes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import Config, IndexConfig, ScrubConfig
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.embedders import HashEmbedder

ROUNDS = 6
BURST = 20
SLOW_S = 0.05


class Slow:
    """An index whose writes take a while; everything else is the real one's."""

    def __init__(self, inner: VectorIndex) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        time.sleep(SLOW_S)
        return self._inner.upsert(records)


@pytest.mark.parametrize("adapter", ["sqlite", "chroma"])
def test_a_search_never_answers_without_the_commit_that_it_waits_for(adapter: str, tmp_path: Path) -> None:
    config = Config(index=IndexConfig.model_validate({"adapter": adapter}), scrub=ScrubConfig(enabled=False))
    options = Options(embedders=(HashEmbedder(dimension=16),), wrapping=Wrapping(index=Slow))  # type: ignore[arg-type]
    with open_pkg(tmp_path, config=config, options=options) as slip:
        for number in range(ROUNDS):
            with slip.pkg.transaction() as tx:
                for k in range(BURST):
                    tx.upsert_entity("Person", f"p{k}", {"name": f"burst {number} {k}"})
                tx.upsert_entity("Person", "ada", {"name": f"version {number}"})
            other = threading.Timer(
                SLOW_S / 2, slip.pkg.create_entity, ("Person", f"other{number}", {"name": f"other {number}"})
            )
            other.start()
            hits = slip.search(f"version {number}", k=50, after=tx.position, timeout_s=60)
            other.join()
            assert hits.frontier >= tx.position
            assert any(hit.entity_id == "ada" and hit.score > 0.999 for hit in hits)
        assert slip.sync.drain(60)
        assert slip.sync.status().frontier == slip.sync.status().checkpoint == slip.sync.status().head
