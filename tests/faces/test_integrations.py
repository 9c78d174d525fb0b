"""Graphs and frames go in and out of a PKG whose engine another process runs."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pandas as pd

from slipstream.integrations.networkx import from_networkx, to_networkx
from slipstream.integrations.pandas import entities_frame, from_frame, relationships_frame, search_frame
from tests.faces.worlds import beside


def test_beside_the_owner(tmp_path: Path) -> None:
    club = nx.karate_club_graph()
    people = pd.DataFrame({"id": ["ada"], "name": ["Ada Lovelace"], "knows": [["0", "33"]]})
    with beside(tmp_path / "pkg") as face:
        brought = from_networkx(face.slip, club, entity_type="Member", relationship_type="MEETS")
        assert (brought.entities, brought.relationships) == (34, 78)
        assert nx.utils.nodes_equal(to_networkx(face.slip, entity_types=["Member"]), map(str, club))
        brought = from_frame(face.slip, people, entity_type="Person", relate=["knows:KNOWS:Member"])
        assert relationships_frame(face.slip, "KNOWS")["target"].tolist() == ["0", "33"]
        assert entities_frame(face.slip, "Member")["club"].value_counts().sum() == 34
        found = search_frame(face.slip.search("Ada Lovelace", 1, after=brought.position))
        assert found["id"].tolist() == ["ada"]
