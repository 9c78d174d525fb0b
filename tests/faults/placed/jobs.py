"""What the nursery's workers do: templates, workloads that a fault may end, checks of what it left, references."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

# Imported once for all workers. Chroma's threads begin with its first client, which only a forked process makes.
import numpy as np

import slipstream.adapters.cypher.kglite
import slipstream.adapters.embedders.minilm.embedders
import slipstream.adapters.embedders.wordllama  # noqa: F401
from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.app.composition.factories import open_store
from slipstream.app.composition.opening import DATA_FOLDER
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.ports.index import VectorIndex
from tests.faults.placed.checking import check
from tests.faults.placed.working import DUMP, INDEXES, PKG, Worker, configure
from tests.faults.placed.workloads import DUMP_BATCH, WORKLOADS
from tests.faults.placed.world import BASE, BASE_PEOPLE, BESIDE, COMMITS, GHOST, SICK, Op, write_dump
from tests.faults.preload import Fault, arm

Say = Callable[[str], None]
Job = Callable[[Path, Fault, Say, int], None]
ASK = "ask.json"
CHURNED = {"sqlite": 1, "chroma": 6}
"""Rounds of new texts, so that Chroma is about to rewrite its vector files, which it does every 250 changes."""


def template(index: str, base: Path, fault: Fault, say: Say, listing: int) -> None:
    """Make what every workload begins with."""
    del fault, listing
    configure(base / PKG, index)
    write_dump(base / DUMP)
    worker = Worker(base, say)
    for number, commit in enumerate(BASE):
        worker.commit(f"commit-{number}", commit)
    for round_number in range(CHURNED[index], -1, -1):
        words = f" {round_number}" if round_number else ""
        worker.commit(
            f"round-{round_number}",
            [Op("update", f"p{n}", properties={"text": f"first words of p{n}{words}"}) for n in range(BASE_PEOPLE)],
        )
        worker.drain()
    worker.show_states()
    worker.close()


def tampered(index: str, base: Path, fault: Fault, say: Say, listing: int) -> None:
    """Damage a closed index: three records are gone, two are stale, one has another's vector, one is of nobody."""
    del fault, say, listing
    data = base / PKG / DATA_FOLDER
    with ExitStack() as stack:
        store = open_store(data, 10.0)
        stack.callback(store.close)
        assert store.lease.acquire(0)
        place: VectorIndex = store.index
        if index == "chroma":
            place = ChromaIndex.embedded(data / "chroma")
            stack.callback(place.close)
        keys = [entity_key(f"p{number}") for number in range(10, 17)]
        stamps = {key: place.stamps(keys)[key].records[0] for key in keys}
        place.delete([Deletion(key, stamps[key].position, stamps[key].space) for key in keys[:3]])
        place.upsert([_record(place, stamps[key], fingerprint="forged") for key in keys[3:5]])
        vector = _record(place, stamps[keys[6]]).vector
        place.upsert([_record(place, stamps[keys[5]])._replace(vector=np.roll(vector, 1))])
        orphan = _record(place, stamps[keys[6]], key=entity_key("nobody"))
        place.upsert([orphan])


def _record(index: VectorIndex, stamp: Stamp, *, key: RecordKey | None = None, fingerprint: str = "") -> VectorRecord:
    vector = index.vectors([stamp.key], stamp.space)[stamp.key]
    changed = stamp._replace(key=key or stamp.key, fingerprint=fingerprint or stamp.fingerprint)
    return VectorRecord(changed, vector)


def work(workload: str, base: Path, fault: Fault, say: Say, listing: int) -> None:
    """Take a workload's steps until a fault ends them, or through it."""
    worker = Worker(base, say)
    arm(fault, listing)
    WORKLOADS[workload].run(worker)
    worker.close()


def checked(base: Path, fault: Fault, say: Say, listing: int) -> None:
    """Check what a worker left, by what it said."""
    del fault, listing
    ask = json.loads((base / ASK).read_text())
    found = check(base, WORKLOADS[ask["workload"]], ask["said"])
    say(f"step {found.step}")
    say(f"digest {found.digest}")


def reference(base: Path, fault: Fault, say: Say, listing: int) -> None:
    """Take the steps up to one without a fault, so that what comes of them can be compared."""
    del fault, listing
    ask = json.loads((base / ASK).read_text())
    workload, worker = WORKLOADS[ask["workload"]], Worker(base, lambda line: None)
    given = {"fresh": BASE, "commits": COMMITS}.get(ask["workload"], BESIDE)
    steps: dict[str, Callable[[], object]] = {
        "import": lambda: worker.slip.importer().run(base / DUMP, batch=DUMP_BATCH),
        "ghost": lambda: worker.commit("ghost", GHOST),
        "replay": lambda: worker.step("replay", worker.replay),
        "sick": lambda: worker.commit("sick", SICK),
    }
    for name, _ in workload.graphs[1 : ask["step"] + 1]:
        number = name.removeprefix("commit-")
        _ = steps[name]() if name in steps else worker.commit(name, given[int(number)])
    worker.close()
    said = [f"ack {name}" for name, _ in workload.graphs[1 : ask["step"] + 1]]
    found = check(base, workload, said)
    assert found.step == ask["step"]
    say(f"digest {found.digest}")


SCENARIOS: dict[str, Job] = {
    **{f"{index}/template": partial(template, index) for index in INDEXES},
    **{f"{index}/tampered": partial(tampered, index) for index in INDEXES},
    **{f"{index}/{name}": partial(work, name) for index in INDEXES for name in WORKLOADS},
    "check": checked,
    "reference": reference,
}
