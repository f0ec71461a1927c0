"""A body is taken within its bound, whatever its length is said to be; who hangs up has sent nothing."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gitops.server.body import bounded

OVER: dict[str, Any] = {"type": "http.disconnect"}


def part(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def taken(messages: Sequence[dict[str, Any]]) -> tuple[bytes, int]:
    """What four bytes at most are read from, and how many messages were not asked for."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"1")]}
    return asyncio.run(bounded(Request(scope, receive), "form", 4)), len(left)


def test_what_fits_is_taken_and_nothing_is_read_after_the_first_byte_too_many() -> None:
    assert taken([part(b"ab"), part(b"cd", more=False)]) == (b"abcd", 0)
    with pytest.raises(HTTPException, match="a form has at most 4 bytes") as refused:
        taken([part(b"abc"), part(b"de")])  # asks for no third part: there is none
    assert refused.value.status_code == 413


def test_who_hangs_up_in_the_middle_has_sent_nothing() -> None:
    with pytest.raises(HTTPException, match="the form ends short") as refused:
        taken([part(b"abc"), OVER])
    assert refused.value.status_code == 400
