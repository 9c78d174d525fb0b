"""The same Cypher write, again and again: every one of them commits, and none slips through as a read."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from slipstream.app.config import Config
from slipstream.domain.errors import InvalidInputError
from slipstream.testkit.embedders import HashEmbedder

WRITE = "MATCH (c:Concept) SET c.name = $name"


@pytest.mark.parametrize("cypher", [WRITE, "/* write */ " + WRITE, "/* read */ " + WRITE])
def test_the_same_write_commits_every_time(tmp_path: Path, cypher: str) -> None:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    with open_pkg(tmp_path, run=False, config=Config(), options=options) as slip:
        pkg = slip.pkg
        positions = [pkg.create_entity("Concept", "a", {"name": "first"})]
        for number in range(5):
            positions.append(pkg.execute(cypher, name=f"v{number}"))
            assert pkg.query("MATCH (c:Concept) RETURN c.name AS name") == [{"name": f"v{number}"}]
            with pytest.raises(InvalidInputError, match="execute"):
                pkg.query(cypher, name="sneaked in")
        assert positions == sorted(set(positions))
        assert pkg.update_entity("a", {"name": "typed"}) > positions[-1]
