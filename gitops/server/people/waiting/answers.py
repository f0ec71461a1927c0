"""What people ask for, made once for all who ask at the same time, and never by too many.

In: what is asked, and by which address. Out: its bytes. Rules: nothing is kept: an answer that nobody waits for is
forgotten, so that ten thousand different questions fill nothing; of questions that not everybody asks, an address has
at most `EACH` waiting, and all together `MOST`: whoever comes then is told to come again.

    answers = Answers(render)
    await answers.get(Asked(Document.fleet, query="page=2"), "192.0.2.7")
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from starlette.exceptions import HTTPException

from gitops.server.bounds import holder
from gitops.server.busy import again
from gitops.server.people.documents import Asked
from gitops.server.people.waiting.shared import Shared
from gitops.server.people.waiting.turns import ALL, Turns

T = TypeVar("T")
EACH, MOST = 8, 64


class Answers:
    """Of one server."""

    def __init__(self, make: Callable[[Asked], bytes]) -> None:
        self._make, self._turns = make, Turns()
        self._here: dict[Asked, Shared] = {}
        self._waiting = Counter[Asked]()
        self._holders = Counter[str]()

    async def get(self, asked: Asked, address: str) -> bytes:
        """Raises:
        HTTPException: 429, 503: too many wait.
        TowerosError: what making it raised.
        """
        who = ALL if asked.plain else holder(address) or "?"
        if who != ALL and self._holders[who] >= EACH:
            raise HTTPException(429, f"{EACH} questions of this address wait already", again())
        if who != ALL and self._holders.total() >= MOST:
            raise HTTPException(503, f"{MOST} questions wait already", again())
        shared = self._here.setdefault(asked, Shared(self._turns, partial(self._make, asked), who))
        self._waiting[asked] += 1
        if who != ALL:
            self._holders[who] += 1
        try:
            return await shared.get()
        finally:
            self._leave(asked, who)

    def _leave(self, asked: Asked, who: str) -> None:
        _less(self._waiting, asked)
        if who != ALL:
            _less(self._holders, who)
        if asked not in self._waiting:
            del self._here[asked]


def _less(count: Counter[T], name: T) -> None:
    count[name] -= 1
    if not count[name]:
        del count[name]
