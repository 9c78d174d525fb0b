"""Real entities, imported, changed and verified with the real model, in bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import first_few

PEAK_MB_MAX = {1_500: 350, 10_000: 700}
"""By the number of entities; the larger one belongs to the long suite."""

SCRIPT = """
import itertools, json, sys
from pathlib import Path
from slipstream.app.composition import initialise, open_pkg
from slipstream.demo.corpus.python_environment import read_environment
from slipstream.domain.entities import Entity

root = Path(sys.argv[1])
initialise(root)
with open_pkg(root) as slip:
    changed = []
    entities = (item for item in read_environment(entities_max=int(sys.argv[2])) if isinstance(item, Entity))
    while batch := list(itertools.islice(entities, 1000)):
        with slip.pkg.transaction() as tx:
            for entity in batch:
                # Names and signatures: enough text to tell them apart, short enough for a test.
                short = {name: entity.properties[name] for name in ("name", "signature") if name in entity.properties}
                tx.upsert_entity(entity.type, entity.id, short)
        changed += [entity.id for entity in batch[::10]]
    assert slip.sync.drain(timeout_s=250)
    with slip.pkg.transaction() as tx:
        for entity_id in changed:
            tx.update_entity(entity_id, {"note": f"changed {entity_id}"})
    assert slip.sync.drain(timeout_s=60)
    report = slip.verify()
    print(json.dumps({
        "entities": report.total_entities,
        "consistent": report.is_consistent,
        "changed": len(changed),
        "computed": slip.embedding.stats.computed,
        # Not ru_maxrss, which a child inherits from the process that started it.
        "peak_mb": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024,
    }))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
@pytest.mark.parametrize("entities", first_few(PEAK_MB_MAX, 1))
def test_real_entities_are_kept_in_bounded_memory(tmp_path: Path, entities: int) -> None:
    # Measured as a user's process would be, not under a coverage tool that this test may run under.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(entities)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=290, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    facts = json.loads(result.stdout)
    assert facts["entities"] == entities
    assert facts["consistent"]
    assert facts["computed"] <= facts["entities"] + facts["changed"]
    assert facts["peak_mb"] < PEAK_MB_MAX[entities]
