"""Ten thousand questions of one address fill nothing, and keep nobody else waiting."""

import asyncio
import threading
from collections import Counter

import pytest
from starlette.exceptions import HTTPException

from gitops.errors import TowerosError
from gitops.server.people.documents import Asked, Document
from gitops.server.people.waiting.answers import EACH, MOST, Answers
from gitops.server.people.waiting.turns import Turns


class Kitchen:
    """Makes one at a time, when it is let."""

    def __init__(self) -> None:
        self.made: list[Asked] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, asked: Asked) -> bytes:
        self.begun.set()
        assert self.go.wait(30)
        self.made.append(asked)
        if asked.query == "q=bad":
            raise TowerosError("no")
        return asked.query.encode()


def asked(number: object) -> Asked:
    return Asked(Document.fleet, query=f"q={number}", html=True)


async def status(answers: Answers, what: Asked, address: str) -> int:
    try:
        await answers.get(what, address)
    except HTTPException as error:
        return error.status_code
    return 200


async def first(answers: Answers, kitchen: Kitchen) -> asyncio.Task[int]:
    """Something is being made."""
    task = asyncio.create_task(status(answers, asked("first"), "192.0.2.1"))
    while not kitchen.begun.is_set():
        await asyncio.sleep(0.01)
    return task


def test_questions_of_one_address_are_bounded_and_nothing_is_kept() -> None:
    async def story() -> tuple[Counter[int], int]:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        one = await first(answers, kitchen)
        flood = [asyncio.create_task(status(answers, asked(number), "192.0.2.1")) for number in range(10_000)]
        await asyncio.sleep(0.1)
        assert len(answers._here) <= EACH
        kitchen.go.set()
        told = Counter(await asyncio.gather(one, *flood))
        assert not answers._here and not answers._waiting and not answers._holders
        return told, len(kitchen.made)

    told, made = asyncio.run(story())
    assert told == {200: EACH, 429: 10_001 - EACH} and made == EACH


def test_who_asks_from_a_whole_ipv6_network_is_one() -> None:
    async def story() -> Counter[int]:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        tasks = [asyncio.create_task(status(answers, asked(number), f"2001:db8::{number:x}")) for number in range(100)]
        await asyncio.sleep(0.1)
        kitchen.go.set()
        return Counter(await asyncio.gather(*tasks))

    assert asyncio.run(story()) == {200: EACH, 429: 100 - EACH}


def test_the_first_page_and_another_address_do_not_wait_behind_a_flood() -> None:
    """Of many addresses, too: what everybody may want has a turn of its own."""

    async def story() -> list[Asked]:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        one = await first(answers, kitchen)
        flood = [
            asyncio.create_task(status(answers, asked(number), f"192.0.2.{number // EACH + 1}"))
            for number in range(1, MOST - 8)
        ]
        await asyncio.sleep(0.05)
        late = [
            asyncio.create_task(status(answers, Asked(Document.fleet, html=True), "198.51.100.7")),
            asyncio.create_task(status(answers, asked("mine"), "198.51.100.7")),
        ]
        await asyncio.sleep(0.05)
        kitchen.go.set()
        assert set(await asyncio.gather(one, *flood, *late)) == {200}
        return kitchen.made

    made = asyncio.run(story())
    assert made.index(Asked(Document.fleet, html=True)) <= 2
    holders = -(-MOST // EACH)
    assert made.index(asked("mine")) <= 2 * holders, "each address has its turn"


def test_more_than_all_may_ask_are_told_to_come_again_and_the_first_page_is_not() -> None:
    async def story() -> tuple[Counter[int], int]:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        tasks = [asyncio.create_task(status(answers, asked(number), f"10.0.0.{number}")) for number in range(200)]
        await asyncio.sleep(0.05)
        page = asyncio.create_task(status(answers, Asked(Document.fleet, html=True), "10.0.0.1"))
        await asyncio.sleep(0.05)
        kitchen.go.set()
        return Counter(await asyncio.gather(*tasks)), await page

    assert asyncio.run(story()) == (Counter({200: MOST, 503: 200 - MOST}), 200)


def test_equal_questions_are_made_once_and_an_error_is_everybodys() -> None:
    async def story() -> tuple[int, list[object]]:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        one = await first(answers, kitchen)
        same = [asyncio.create_task(status(answers, asked("same"), f"10.0.0.{number}")) for number in range(50)]
        bad = [asyncio.create_task(answers.get(asked("bad"), f"10.1.0.{number}")) for number in range(3)]
        await asyncio.sleep(0.05)
        kitchen.go.set()
        assert await one == 200 and set(await asyncio.gather(*same)) == {200}
        failed = await asyncio.gather(*bad, return_exceptions=True)
        return Counter(kitchen.made)[asked("same")], [type(each) for each in failed]

    assert asyncio.run(story()) == (1, [TowerosError] * 3)


def test_who_goes_away_leaves_its_turn_to_others() -> None:
    async def story() -> int:
        kitchen = Kitchen()
        answers = Answers(kitchen)
        one = await first(answers, kitchen)
        gone = [asyncio.create_task(answers.get(asked(number), "192.0.2.1")) for number in range(5)]
        await asyncio.sleep(0.05)
        for task in gone:
            task.cancel()
        stays = asyncio.create_task(status(answers, asked("stays"), "192.0.2.1"))
        await asyncio.sleep(0.05)
        kitchen.go.set()
        assert await one == 200
        with pytest.raises(asyncio.CancelledError):
            await gone[0]
        return await asyncio.wait_for(stays, 20)

    assert asyncio.run(story()) == 200


def test_who_goes_away_just_as_it_is_its_turn_passes_it_on() -> None:
    async def story() -> list[str]:
        turns, done = Turns(), list[str]()
        go = threading.Event()

        def work() -> None:
            go.wait(30)

        second = third = asyncio.create_task(asyncio.sleep(0))

        async def begin() -> None:
            await turns.do(work, "a")
            second.cancel()  # it was told that it is its turn, and has not heard it yet

        one = asyncio.create_task(begin())
        await asyncio.sleep(0.05)
        second = asyncio.create_task(turns.do(lambda: done.append("second"), "b"))
        third = asyncio.create_task(turns.do(lambda: done.append("third"), "c"))
        await asyncio.sleep(0.05)
        go.set()
        await one
        await asyncio.wait_for(third, 20)
        return done

    assert asyncio.run(story()) == ["third"]
