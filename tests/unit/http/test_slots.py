"""Room on a server: first come, first served, and none is lost when somebody gives up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from slipstream.http.slots import RefusedError, Room, Slots


def test_whoever_waits_longest_comes_next() -> None:
    order: list[int] = []

    async def go() -> None:
        slots = Slots("requests", 1, 3, 60.0)
        await slots.take()

        async def one(number: int) -> None:
            await slots.take()
            order.append(number)
            slots.give()

        tasks = [asyncio.create_task(one(number)) for number in range(3)]
        await _settled()
        with pytest.raises(RefusedError) as refused:
            await slots.take()  # a fourth one would wait
        assert refused.value.answer.status_code == 503
        slots.give()
        await asyncio.gather(*tasks)

    asyncio.run(go())
    assert order == [0, 1, 2]


def _cancel(slots: Slots, task: asyncio.Task[None]) -> None:
    del slots
    task.cancel()


def _give_and_cancel(slots: Slots, task: asyncio.Task[None]) -> None:
    slots.give()  # it is his now, and he does not know yet
    task.cancel()


@pytest.mark.parametrize("leave", [_cancel, _give_and_cancel])
def test_who_gives_up_leaves_his_room_to_others(leave: Callable[[Slots, asyncio.Task[None]], None]) -> None:
    async def go() -> None:
        slots = Slots("requests", 1, 1, 60.0)
        await slots.take()
        waiting = asyncio.create_task(slots.take())
        await _settled()
        leave(slots, waiting)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        if leave is _cancel:
            slots.give()
        await asyncio.wait_for(slots.take(), 10)

    asyncio.run(go())


def test_waiting_ends() -> None:
    async def go() -> None:
        slots = Slots("requests", 1, 5, 0.01)
        await slots.take()
        for _ in range(10):
            with pytest.raises(RefusedError):
                await slots.take()
        slots.give()
        await slots.take()

    asyncio.run(go())


def test_bytes_are_given_back() -> None:
    room = Room("bodies", 100)
    room.take(60)
    with pytest.raises(RefusedError):
        room.take(41)
    room.take(40)
    room.give(100)
    room.take(100)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
