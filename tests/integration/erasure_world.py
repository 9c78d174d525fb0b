"""A PKG in which one entity has left traces wherever texts can stand, and what finds its words in any file."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from slipstream.app.composition import OnOtherRecipe, Options, Wrapping, open_pkg
from slipstream.app.config import Config, IndexConfig
from slipstream.app.slipstream import Slipstream
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import DeadLetter
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import Via, View

ID = "quokka-41:x"
WORDS = (
    ID,
    "quokka-41%3Ax",  # as ids of relationships hold it
    "Zyxilda",  # its name
    "brambleforth",  # an alias
    "fnordwort",  # in a property
    "grimbelshire",  # in an earlier version of that
    "plunketine",  # in a relationship
    "vexalorium",  # in metadata
    "document-wozzle",  # its source document
)
"""Words that nothing else in the PKG has."""
MENTION = "a neighbour's own text knows Zyxilda, and ZYXILDA again"
OLD, NEW = "old", "new"
PEOPLE = 40
VIEWS = (
    View(
        "Person",
        "{{ name }}: {{ bio }}, with {{ friend|map(attribute='name')|join(', ') }}",
        {"friend": Via("KNOWS", "both")},  # type: ignore[arg-type]
        metadata=("badge",),
    ),
    View("KNOWS", "{{ source.name }} knows {{ target.name }} {{ how }}", is_relationship=True),
)


def options(models: Sequence[HashEmbedder] = (), wrapping: Wrapping | None = None) -> Options:
    """Return two models of one dimension, views that render neighbours, and small batches."""
    return Options(
        embedders=tuple(models) or (HashEmbedder(dimension=16, id=OLD), HashEmbedder(dimension=16, id=NEW)),
        views=VIEWS,
        settings=SyncSettings(batch_min=1, batch_max=16, idle_wait_s=0.02),
        wrapping=wrapping or Wrapping(),
        on_other_recipe=OnOtherRecipe.KEEP,
    )


def opened(root: Path, adapter: str = "sqlite", given: Options | None = None) -> Slipstream:
    """Open the PKG."""
    config = Config(index=IndexConfig.model_validate({"adapter": adapter}))
    return open_pkg(root, config=config, options=given or options())


def fill(slip: Slipstream, people: int = PEOPLE) -> None:
    """Commit people, and the one that is to be erased among them, in two versions; leave traces of it all over."""
    with slip.pkg.transaction() as tx:
        for number in range(people):
            tx.create_entity("Person", f"p{number}", {"name": f"person {number}", "bio": "no more", "badge": number})
        tx.update_entity("p3", {"bio": MENTION})
        tx.create_entity("Person", ID, {"name": "Zyxilda", "bio": "of grimbelshire " * 300})
        for number in range(8):
            tx.relate(ID if number % 2 else f"p{number}", "KNOWS", f"p{number}" if number % 2 else ID, {"how": "so"})
    slip.pkg.update_entity(
        ID,
        {
            "bio": "fnordwort, in a text that is long enough to be quoted",
            "aliases": ["brambleforth the elder"],
            "badge": "vexalorium",
            "source_document_id": "document-wozzle",
        },
    )
    slip.pkg.relate(ID, "KNOWS", "p9", {"how": "by plunketine"})
    assert slip.sync.drain(timeout_s=60)


def leave_traces(slip: Slipstream) -> None:
    """Leave dead letters, kept audits with findings, quality runs, and a second generation."""
    letter = DeadLetter(
        id="import:1",
        key=None,
        error="row 7: Zyxilda is no date",
        attempts=1,
        failed_at=datetime(2026, 1, 1, tzinfo=UTC),
        position=None,
        payload=json.dumps({"id": ID, "name": "Zyxilda", "bio": "fnordwort"}),
    )
    slip.dead_letters.bury([letter])
    slip.queue.publish("other", {"entity_id": ID, "bio": "fnordwort"})
    slip.store.mark_for_reembedding([ID], reason="Zyxilda asked for it")
    assert slip.sync.drain(timeout_s=60)
    slip.quality.run()
    key = entity_key(ID)
    held = slip.store.index.stamps([key])[key].records
    slip.store.index.delete([Deletion(key, stamp.position, stamp.space) for stamp in held])
    found = slip.verify()
    assert found.divergent_keys()
    slip.repair(found)
    assert slip.sync.drain(timeout_s=60)
    assert slip.verify().is_consistent


def build_next(slip: Slipstream) -> None:
    """Build the generation beside the live one."""
    slip.migrations.start(slip.migrations.candidate(default=NEW))
    assert slip.migrations.wait(timeout_s=60)


_SCAN = """
import json, pathlib, sys
root, words = pathlib.Path(sys.argv[1]), json.loads(sys.stdin.read())
found = []
for path in sorted(root.rglob("*")):
    if path.is_file():
        data = path.read_bytes().lower()
        found += [[str(path.relative_to(root)), name] for name, form in words if bytes.fromhex(form) in data]
print(json.dumps(found))
"""


def _forms(word: str) -> dict[str, bytes]:
    lower = word.lower()
    found = {"utf-8": lower.encode(), "utf-16": lower.encode("utf-16-le")}
    for shift in range(3):  # inside a longer text in base64, at each of three places; lowered, as the data is
        coded = base64.b64encode(b"\0" * shift + word.encode())[4 if shift else 0 : -4]
        if len(coded) >= 8:
            found[f"base64+{shift}"] = coded.lower()
    return found


def traces(root: Path, words: Sequence[str] = WORDS) -> list[list[str]]:
    """
    Return which words stand in which files, in any of several encodings.

    A process of its own looks: closing a file would release what SQLite has locked in this one.
    """
    asked = [[f"{word} ({form})", data.hex()] for word in words for form, data in _forms(word).items()]
    done = subprocess.run(
        [sys.executable, "-c", _SCAN, str(root)], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def vectors_are_fresh(slip: Slipstream) -> bool:
    """Whether every record of the live generation has the vector of its text as it is now."""
    return slip.verify(deep=10_000).is_consistent


def faulty(hook: Callable[[str], None]) -> Wrapping:
    """Return failpoints around the journal and the index."""
    from slipstream.adapters.wrappers.faults import FaultyIndex, FaultyJournal

    return Wrapping(
        index=lambda index: FaultyIndex(index, hook), journal=lambda journal: FaultyJournal(journal, hook)
    )


def is_known(slip: Slipstream) -> bool:
    """Whether graph or index knows the entity."""
    held = slip.store.index.stamps([entity_key(ID)]).values()
    return bool(slip.pkg.read([entity_key(ID)], {}).states) or any(each.records for each in held)
