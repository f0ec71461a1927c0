"""All facts of this box, as the report has them.

In: the places, how often it looks at its server. Out: the member `facts`. Rules: nothing here keeps a report from going
out: what cannot be read, or does not come in time, is left out (asking.py).

    Facts(places, poll=30).read(every=30)
"""

import math
import os
from functools import partial

from toweros_agent import RELEASE
from toweros_agent.facts import board
from toweros_agent.facts.asking import Asking
from toweros_agent.facts.links import links
from toweros_agent.nouns import Json
from toweros_agent.settings import Places


class Facts:
    """Of one boot. `poll`: seconds between two looks at the server."""

    def __init__(self, places: Places, poll: float) -> None:
        folders = {"toweros": places.run / "disk", "esp": places.run / "esp", "state": places.state}
        self._poll = math.ceil(poll)
        self._asking = Asking(
            {
                "links": partial(links, places.proc),
                "memory": partial(board.memory, places.proc),
                "disks": partial(board.disks, folders),
                "temperature": partial(board.temperature, places.sys),
                "synchronised": board.synchronised,
            }
        )

    def read(self, every: float) -> Json:
        """`every`: in so many seconds it says something again, at the latest."""
        itself = {"agent": RELEASE, "kernel": os.uname().release[:64], "poll": self._poll, "every": math.ceil(every)}
        return itself | {"proves": True} | self._asking()
