"""asyncio's facade: what is cancelled, what is closed, how many calls are under way at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import slipstream
from slipstream import aio
from slipstream.app.composition import Options
from slipstream.domain.errors import ConfigError, NotFoundError
from slipstream.domain.models import ModelSpec
from slipstream.testkit.embedders import HashEmbedder
from tests.until import LONG_S, until


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("slipstream")}


def _ended_since(before: set[threading.Thread]) -> None:
    """Wait until every thread that was begun since has ended; other tests of this process may have left theirs."""
    until(lambda: not _threads() - before, "the end of the threads")


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[aio.AsyncSlipstream]:
    options = Options(embedders=(HashEmbedder(dimension=16),))
    async with aio.open(directory, create=True, options=options) as slip:
        yield slip


def test_everything_ends_with_the_block(tmp_path: Path) -> None:
    before = _threads()

    async def body() -> None:
        async with opened(tmp_path) as slip:
            position = await slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
            assert (await slip.search("Ada", 1, after=position))[0].entity_id == "ada"
            assert _threads() - before

    asyncio.run(body())
    _ended_since(before)


def test_an_error_of_opening_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    async def body() -> None:
        async with aio.open(tmp_path / "nowhere"):
            raise AssertionError

    with pytest.raises(ConfigError, match=r"slipstream\.toml"):
        asyncio.run(body())


def test_what_a_cancelled_task_has_opened_is_closed(tmp_path: Path) -> None:
    opening, given_up, closed = threading.Event(), threading.Event(), threading.Event()

    class Slow(HashEmbedder):
        @property
        def spec(self) -> ModelSpec:
            """Its identity, which is asked for while the PKG is opened."""
            opening.set()
            given_up.wait(LONG_S)
            return super().spec

        def close(self) -> None:
            super().close()
            closed.set()

    async def body() -> None:
        options = Options(embedders=(Slow(dimension=16),))

        async def enter() -> None:
            async with aio.open(tmp_path, create=True, options=options):
                raise AssertionError

        task = asyncio.ensure_future(enter())
        await asyncio.to_thread(opening.wait, LONG_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        given_up.set()
        assert await asyncio.to_thread(closed.wait, LONG_S)

    asyncio.run(asyncio.wait_for(body(), LONG_S))
    with slipstream.open(tmp_path, options=Options(embedders=(HashEmbedder(dimension=16),))) as again:
        assert again.runs_engine


def test_a_cancelled_wait_ends_and_its_thread_is_free_again(tmp_path: Path) -> None:
    async def body() -> None:
        embedder = HashEmbedder(dimension=16)
        async with aio.open(tmp_path, create=True, options=Options(embedders=(embedder,))) as slip:
            embedder.fail_with = OSError("the model is down")
            await slip.pkg.create_entity("Person", "ada", {"name": "Ada"})
            told = asyncio.Event()
            tasks = [
                asyncio.ensure_future(slip.sync.drain(None, lambda _: told.set())) for _ in range(2 * aio.THREADS)
            ]
            await told.wait()
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(each, asyncio.CancelledError) for each in done)
            assert (await slip.get("ada")).id == "ada"  # a thread is free for it
            embedder.fail_with = None
            assert await slip.sync.drain(LONG_S)

    asyncio.run(asyncio.wait_for(body(), LONG_S))


def test_calls_run_beside_each_other(tmp_path: Path) -> None:
    async def body() -> None:
        async with opened(tmp_path) as slip:
            async with slip.pkg.transaction() as tx:
                for number in range(50):
                    tx.create_entity("Person", f"p{number}", {"name": f"name {number}"})
            assert tx.position == slip.pkg.last_commit
            found = await asyncio.gather(*(slip.search(f"name {n}", 1, after=tx.position) for n in range(50)))
            assert [hits[0].entity_id for hits in found] == [f"p{number}" for number in range(50)]

    asyncio.run(body())


def test_a_transaction_that_fails_does_nothing(tmp_path: Path) -> None:
    async def commit(slip: aio.AsyncSlipstream, broken: bool) -> None:
        async with slip.pkg.transaction() as tx:
            tx.create_entity("Person", "x")
            if broken:
                raise ZeroDivisionError
            tx.update_entity("nobody", {"a": 1})

    async def body() -> None:
        async with opened(tmp_path) as slip:
            with pytest.raises(NotFoundError):
                await commit(slip, broken=False)
            with pytest.raises(ZeroDivisionError):
                await commit(slip, broken=True)
            assert await slip.find(["x"]) == []
            assert await slip.pkg.head() == 0

    asyncio.run(body())


def test_a_stream_that_nobody_listens_to_any_more_ends(tmp_path: Path) -> None:
    before = _threads()

    async def body() -> None:
        async with opened(tmp_path) as slip:
            position = await slip.pkg.create_entity("Person", "ada")

            heard = asyncio.Event()

            async def listen() -> None:
                async for change in slip.stream_changes(position):
                    if change.id == "ada":
                        heard.set()

            task = asyncio.ensure_future(listen())
            await slip.pkg.update_entity("ada", {"name": "Ada"})
            await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(body(), LONG_S))
    _ended_since(before)


def test_a_backup_and_an_import_tell_their_progress_in_the_loop(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("id,name\nada,Ada\nbob,Bob\n", encoding="utf-8")
    told: list[threading.Thread] = []

    def tell(*what: object) -> None:
        told.append(threading.current_thread())

    async def body() -> None:
        async with opened(tmp_path / "pkg") as slip:
            brought = await slip.import_files(
                tmp_path / "people.csv",
                options=slipstream.ReadOptions(entity_type="Person", id_column="id"),
                on_progress=tell,
            )
            assert brought.entities == 2
            report = await slip.backup(tmp_path / "backups", keep=1, on_progress=tell)
            assert report.manifest.position == await slip.pkg.head()

    asyncio.run(body())
    assert set(told) == {threading.main_thread()}
