"""The process that is killed amid migrations: it builds, cuts over, rolls back and drops beside mutations."""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from slipstream.adapters.wrappers.faults import FaultyEmbedder, FaultyGraph, FaultyIndex, FaultyJournal, kill_at
from slipstream.app.composition import OnOtherRecipe, Options, Wrapping, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.recipes.generations import Phase
from slipstream.testkit.embedders import HashEmbedder

OLD, NEW = "old", "new"
PEOPLE = 80
COMMITTED = "committed"
PAUSES_S = {"sqlite": 0.01, "chroma": 0.1}
"""Between two mutations: what the index can follow. Chroma takes 20 to 30 ms for each single write."""


def open_for_test(root: Path, adapter: str, hook: Callable[[str], None] | None = None) -> Slipstream:
    """Open with two models of one dimension, and small batches and chunks."""
    wrapping = Wrapping()
    if hook is not None:
        wrapping = Wrapping(
            graph=lambda graph: FaultyGraph(graph, hook),
            index=lambda index: FaultyIndex(index, hook),
            journal=lambda journal: FaultyJournal(journal, hook),
            embedder=lambda embedder: FaultyEmbedder(embedder, hook),
        )
    options = Options(
        embedders=(HashEmbedder(dimension=16, id=OLD), HashEmbedder(dimension=16, id=NEW)),
        settings=SyncSettings(batch_min=4, batch_max=16, log_page=32, idle_wait_s=0.02),
        wrapping=wrapping,
        on_other_recipe=OnOtherRecipe.KEEP,  # what is declared here stays the old recipe
    )
    return open_pkg(root, config=Config(index=IndexConfig.model_validate({"adapter": adapter})), options=options)


def fill(slip: Slipstream) -> None:
    """Commit the people, once."""
    with slip.pkg.transaction() as tx:
        for number in range(PEOPLE):
            tx.upsert_entity("Person", f"p{number}", {"name": f"name {number}"})


def models_seen(slip: Slipstream) -> set[str]:
    """Return which models answer a search that asks for everything."""
    return {hit.model_id for hit in slip.search("name 7", k=PEOPLE, mode="vector")}


def finish(slip: Slipstream, *, wanted: str) -> None:
    """Take whatever migration is under way to its end, with one model live."""
    migrations = slip.migrations
    if migrations.status().is_paused:
        migrations.resume()
    if migrations.status().phase is Phase.DROPPING:
        slip.sync.drain(timeout_s=60)
    if migrations.status().phase is Phase.ALONE and migrations.generations.live.model_of("Person") != wanted:
        migrations.start(migrations.candidate(default=wanted))
    if migrations.status().phase in (Phase.BUILDING, Phase.BUILT):
        assert migrations.wait(timeout_s=60)
        if migrations.generations.live.model_of("Person") != wanted:
            migrations.cut_over()
    elif migrations.status().phase is Phase.RETIRED and migrations.generations.live.model_of("Person") != wanted:
        migrations.roll_back()
    if migrations.status().phase is not Phase.ALONE:
        migrations.drop()
    assert slip.sync.drain(timeout_s=60)


def migrate(slip: Slipstream) -> None:
    """Go through every step there is, twice."""
    for wanted in (NEW, OLD):
        slip.migrations.start(slip.migrations.candidate(default=wanted))
        slip.migrations.pause()
        slip.migrations.resume()
        assert slip.migrations.wait(timeout_s=60)
        slip.migrations.cut_over()
        slip.migrations.roll_back()
        slip.migrations.cut_over()
        slip.migrations.drop()
        slip.sync.drain(timeout_s=60)


def kill_behind_commit(count: int) -> Callable[[str], None]:
    """Return a hook that kills when the `count`-th change of the generations has just been committed."""
    changes = kill_at("never")
    seen = 0
    armed: int | None = None
    kill = kill_at(COMMITTED)

    def hook(name: str) -> None:
        nonlocal seen, armed
        changes(name)
        if name == "generations.after":
            seen += 1
            if seen == count:
                armed = threading.get_ident()
        elif name == "journal.commit.after" and armed == threading.get_ident():
            kill(COMMITTED)

    return hook


def beside(slip: Slipstream, ended: threading.Event, seed: int, pause_s: float) -> None:
    """Mutate and search until the end; a search that two generations answer ends the process at once."""
    rng = random.Random(seed)
    serial = 0
    while not ended.is_set():
        serial += 1
        name = f"p{rng.randrange(PEOPLE)}"
        if rng.random() < 0.1:
            slip.pkg.delete_entity(name) if _exists(slip, name) else None
        else:
            with slip.pkg.transaction() as tx:
                tx.upsert_entity("Person", name, {"name": f"name {serial} of {seed}"})
        os.write(1, f"ack {slip.pkg.feed.head()}\n".encode())
        found = models_seen(slip)
        if len(found) != 1:
            os.write(1, f"mix {sorted(found)}\n".encode())
            os._exit(3)
        ended.wait(pause_s)


def _exists(slip: Slipstream, name: str) -> bool:
    return bool(slip.pkg.read([entity_key(name)], {}).states)


def main() -> None:
    """Migrate beside mutations until the failpoint ends it."""
    root, adapter, failpoint, count = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    hook = kill_behind_commit(count) if failpoint == COMMITTED else kill_at(failpoint, count)
    slip = open_for_test(root, adapter, hook)
    fill(slip)
    slip.sync.drain(timeout_s=30)
    ended = threading.Event()
    other = threading.Thread(target=beside, args=(slip, ended, count, PAUSES_S[adapter]), daemon=True)
    other.start()
    try:
        migrate(slip)
    except SlipstreamError as error:
        os.write(1, f"failed {error!r}\n".encode())
        raise
    ended.set()
    other.join()
    os.write(1, b"done\n")
    slip.close()


if __name__ == "__main__":
    main()
