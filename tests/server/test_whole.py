"""The app sees whole bodies: who never ends one costs it nothing."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from gitops.server.whole import Whole

MOST = 10


def body(data: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


def seen(messages: Sequence[Message], method: str = "POST", reads: int = 2) -> list[Message] | None:
    """What an app that reads so often is given; None: it was never called."""
    given = list(messages)
    calls: list[list[Message]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append([await receive() for _ in range(reads)])

    async def receive() -> Message:
        return given.pop(0)

    async def send(message: Message) -> None:
        raise AssertionError(message)

    asyncio.run(Whole(app, MOST)({"type": "http", "method": method}, receive, send))
    return calls[0] if calls else None


def test_pieces_are_one_body() -> None:
    assert seen([body(b"one", True), body(b"", True), body(b"two"), GONE]) == [body(b"onetwo"), GONE]


@pytest.mark.parametrize("before", [[], [body(b"x", True)]], ids=["at once", "in between"])
def test_who_goes_away_before_the_end_never_was_here(before: list[Message]) -> None:
    assert seen([*before, GONE]) is None


def test_what_is_too_large_is_told_at_once_and_not_kept() -> None:
    assert seen([body(b"x" * (MOST + 1), True), body(b"y")]) == [body(b"x" * (MOST + 1), True), body(b"y")]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_question_is_not_kept_waiting_by_a_body_of_no_meaning(method: str) -> None:
    assert seen([body(b"x", True), GONE], method) == [body(b"x", True), GONE]
