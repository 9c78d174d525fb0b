"""The suite over every face; what a server's client does besides; a server that is killed in the middle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream.domain.errors import ConfigError, NotFoundError, UnavailableError, UnsupportedError
from slipstream.domain.positions import ORIGIN
from tests.e2e.processes import LONG_S
from tests.faces import worlds
from tests.faces.awaited import Awaited
from tests.faces.suite import FaceSuite
from tests.faces.worlds import TOKEN, Face
from tests.until import until

UNSUPPORTED: dict[str, Any] = {
    "views": lambda slip: slip.views,
    "recipes": lambda slip: slip.recipes.pair,
    "backup": lambda slip: slip.backup("backups"),
    "export": lambda slip: slip.export("dump.jsonl"),
    "check_views": lambda slip: slip.check_views(None),
    "applier": lambda slip: slip.applier(slipstream.FeedOptions()),
    "embedding": lambda slip: slip.embedding.embed_query("x"),
    "journal": lambda slip: slip.journal.get("x"),
    "query_embeddings": lambda slip: slip.store.query_embeddings([1.0]),
    "mark_for_reembedding": lambda slip: slip.store.mark_for_reembedding(["x"]),
    "trim": lambda slip: slip.pkg.feed.trim(None),
}


@pytest.fixture(scope="class")
def face(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    assert request.cls is not None
    with request.cls.made(tmp_path_factory.mktemp("face")) as found:
        yield found


class _Killed:
    """What is told of a server that is killed."""

    def test_killed_while_others_write_nothing_acknowledged_is_lost(self, face: Face) -> None:
        assert face.server is not None
        acknowledged: list[str] = []
        failed: list[Exception] = []

        def write() -> None:
            try:
                for number in range(100_000):
                    face.slip.pkg.create_entity("Survivor", f"k{number}", {"name": f"survivor {number}"})
                    acknowledged.append(f"k{number}")
            except Exception as error:  # noqa: BLE001  (looked at below)
                failed.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        until(lambda: len(acknowledged) >= 20)
        face.server.kill()
        thread.join(LONG_S)
        assert [type(error) for error in failed] == [UnavailableError], failed
        assert "can not be reached, or broke off" in str(failed[0])
        with pytest.raises(UnavailableError, match="can not be reached"):
            face.slip.status()
        face.server.start()
        assert [entity.id for entity in face.slip.find(acknowledged)] == acknowledged
        assert face.slip.sync.drain(LONG_S)
        assert face.slip.search("survivor 7", 1, entity_type="Survivor").hits
        assert face.slip.verify().is_consistent

    def test_an_audit_is_cut_off_by_a_kill_and_asked_for_again(self, face: Face) -> None:
        assert face.server is not None
        killed = threading.Thread(target=face.server.kill)
        face.slip.pkg.upsert_entity("Person", "z1", {"name": "cut off"})
        until(lambda: face.slip.status().pending == 0)

        def cut_off() -> None:
            face.slip.verify(lambda _: killed.start() if not killed.ident else None)
            face.slip.verify()  # where the first one was faster than the kill

        with pytest.raises(UnavailableError):
            cut_off()
        killed.join(LONG_S)
        face.server.start()
        assert face.slip.verify().is_consistent


class TestOpened(FaceSuite):
    """Opened in this process."""

    made = staticmethod(worlds.opened)


class TestBeside(FaceSuite):
    """Opened beside the process that runs the engine."""

    made = staticmethod(worlds.beside)


class TestBySocket(FaceSuite, _Killed):
    """Asked by the socket in its directory."""

    made = staticmethod(worlds.by_socket)

    def test_nothing_is_read_in_a_transaction(self, face: Face) -> None:
        face.slip.pkg.upsert_entity("Person", "r1", {})
        with face.slip.pkg.transaction() as tx:
            with pytest.raises(UnsupportedError, match=r"transaction\.entity: .* Read before it"):
                tx.entity("r1")
            tx.update_entity("r1", {"seen": True})
        assert face.slip.get("r1").properties == {"seen": True}
        with pytest.raises(ConfigError, match="has ended"):
            tx.delete_entity("r1")
        with face.slip.pkg.transaction(), pytest.raises(ConfigError, match="do not nest"):
            face.slip.pkg.delete_entity("r1")

    def test_an_error_of_a_transaction_names_the_mutation(self, face: Face) -> None:
        def commit() -> None:
            with face.slip.pkg.transaction() as tx:
                tx.create_entity("Person", "n1")
                tx.update_entity("nobody", {"a": 1})
                tx.create_entity("Person", "n2")

        with pytest.raises(NotFoundError, match=r"mutation 2 of 3 \(update_entity\): entity 'nobody'"):
            commit()

    def test_a_transaction_with_an_event_id_is_done_once(self, face: Face) -> None:
        for _ in range(2):
            with face.slip.pkg.transaction() as tx:
                tx.once("the event")
                tx.create_entity("Person", "once")
        assert face.slip.get("once").type == "Person"

    @pytest.mark.parametrize("what", UNSUPPORTED)
    def test_what_can_not_be_had_says_what_to_do_instead(self, face: Face, what: str) -> None:
        with pytest.raises(UnsupportedError, match="server") as caught:
            UNSUPPORTED[what](face.slip)
        assert ": " in str(caught.value)

    def test_the_other_parts_of_the_facade(self, face: Face) -> None:
        slip = face.slip
        position = slip.pkg.upsert_entity("Person", "o1", {"name": "other"})
        assert slip.sync.wait(position, LONG_S)
        assert slip.incident is None
        assert slip.refused_recipe is None
        assert slip.store.get_metadata("o1")[0].entity_id == "o1"
        assert slip.store.current_schema_version == slip.pkg.schema().version
        assert slip.migrations.status().generation == 1
        assert slip.watch.summary()["health"] == "working"
        assert (
            slip.scrubber.health in ("waiting", "working", "paused", "scrubbing", "idle", "ok")
            or slip.scrubber.health
        )
        report = slip.auditor.audit()
        assert slip.audits.audit(report.id).id == report.id
        assert slip.repairer.plan(report.id).keys == {}
        assert slip.validator.repair_inconsistencies(report) == 0
        assert slip.quality.trend() == []
        assert slip.pkg.feed.wait(ORIGIN, 0.0)
        assert not slip.pkg.feed.wait(slip.pkg.feed.head(), 0.05)
        assert not slip.runs_engine

    def test_a_dump_is_sent_and_its_progress_told(self, face: Face, tmp_path: Path) -> None:
        dump = tmp_path / "dump.jsonl"
        rows = [
            {"type": "node", "id": str(n), "labels": ["Import"], "properties": {"id": f"i{n}"}} for n in range(50)
        ]
        link = {"type": "relationship", "id": "x", "label": "NEXT", "start": {"id": "0"}, "end": {"id": "1"}}
        dump.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, link, {"type": "nonsense"}]))
        told: list[tuple[int, int]] = []
        report = face.slip.importer().run(dump, lambda found: told.append((found.done_bytes, found.total_bytes)))
        assert (report.entities, report.relationships, report.rejected) == (50, 1, 1)
        assert not told or told[-1][0] <= told[-1][1]
        assert face.slip.sync.wait(report.position, LONG_S)
        assert face.slip.neighbours("i0").items[0].entity_id == "i1"
        assert face.slip.discard_dead_letters() == 1
        again = face.slip.importer().run(dump)
        assert (again.position, again.entities) == (report.position, 50)
        assert face.slip.discard_dead_letters() == 1

    def test_what_is_no_dump_is_refused(self, face: Face, tmp_path: Path) -> None:
        dump = tmp_path / "photo.png"
        dump.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
        with pytest.raises(ConfigError):
            face.slip.importer().run(dump)
        with pytest.raises(ConfigError, match="can not be read"):
            face.slip.importer().run(tmp_path / "nowhere.jsonl")

    def test_events_are_sent(self, face: Face) -> None:
        event: dict[str, Any] = {
            "event_type": "entity_created",
            "entity_type": "Event",
            "schema_version": 1,
            "new_data": {},
        }
        event["timestamp"] = "2026-01-02T03:04:05Z"
        events = [json.dumps({**event, "entity_id": name, "event_id": name}) for name in ("v0", "v1", "v2")]
        report = face.slip.applier().run([events[:2], events[2:], ["nonsense"]])
        assert (report.applied, report.rejected) == (3, 1)
        assert [entity.id for entity in face.slip.find(["v0", "v1", "v2"])] == ["v0", "v1", "v2"]
        assert face.slip.discard_dead_letters() == 1

    def test_a_backup_is_made_where_the_server_is(self, face: Face) -> None:
        steps: list[object] = []
        report = face.slip.backup(keep=1, on_progress=lambda *step: steps.append(step))
        assert report.path.parent == face.directory / "backups"
        assert report.manifest.entities == sum(
            count for name, count in face.slip.pkg.counts().items() if name in face.slip.pkg.schema().entity_types
        )


class TestByHttp(FaceSuite, _Killed):
    """Asked by HTTP, with a token."""

    made = staticmethod(worlds.by_http)

    def test_a_wrong_token_is_told(self, face: Face) -> None:
        assert face.server is not None
        for token in (None, TOKEN[:-1]):
            with slipstream.connect(face.server.url, token=token) as slip, pytest.raises(ConfigError, match="token="):
                slip.status()

    def test_a_pkg_that_the_server_has_not_is_told(self, face: Face) -> None:
        assert face.server is not None
        url = f"{face.server.url}/pkgs/nix"
        with slipstream.connect(url, token=TOKEN) as slip, pytest.raises(NotFoundError, match="nix"):
            slip.status()


class _Streams:
    """What asyncio has besides."""

    def test_changes_are_streamed_as_they_are_committed(self, face: Face) -> None:
        slip = face.slip
        assert isinstance(slip, Awaited)
        before = slip.pkg.create_entity("Streamed", "y")
        slip.pkg.create_entity("Streamed", "y0")
        late = threading.Timer(0.2, lambda: slip.pkg.create_entity("Streamed", "y1"))
        late.start()
        found = slip.first(slip.target.stream_changes(before), 2)
        late.join(LONG_S)
        assert [change.id for change in found] == ["y0", "y1"]


class TestOpenedByAsyncio(FaceSuite, _Streams):
    """Opened in this process, for asyncio."""

    made = staticmethod(worlds.opened_async)


class TestConnectedByAsyncio(FaceSuite, _Streams, _Killed):
    """Asked by HTTP, for asyncio."""

    made = staticmethod(worlds.connected_async)
