"""Who is asked before the update server: a site's own server, and places that have copies of what the server serves.

In: their addresses, and that of something on the update server. Out: where to ask, in this order. Rules: nothing of
them is believed, as with any server; each is passed over for `PASSED_OVER` after it did not answer, or had metadata
that are refused, or older than what was believed already; a copy gets no reports; what is new is asked of the server
itself every `ITSELF` seconds, for `LASTS`, as a copy can stand still without being wrong; a box can always do without.

    Near("http://192.0.2.7:8080", "http://updates.example:8080").ways("http://updates.example:8080/layers/...")
"""

import re
import time
from collections.abc import Sequence

from toweros_agent import deadlines
from toweros_agent.settings import Settings

PASSED_OVER, ITSELF, LASTS = 300.0, 3600.0, deadlines.LOOK
"""Seconds. A look asks twice, whether there is something new and for it: so for `LASTS` it is the server that says."""
NEWS = re.compile(r"/metadata/(?:.+/)?timestamp\.json")
"""Of all boxes, or of a small repository."""


class Near:
    """Of one box. `noc` ("": there is none), `server` and `copies` are base URLs."""

    def __init__(self, noc: str, server: str, copies: Sequence[str] = ()) -> None:
        self._noc, self._server, self._copies = noc, server, tuple(copies)
        self._until = dict.fromkeys((*filter(None, [noc]), *copies), 0.0)
        self._asked, self._itself = time.monotonic(), float("-inf")

    def ways(self, url: str, method: str = "GET") -> tuple[str, ...]:
        """Where to ask for something of the server's; of others: there."""
        rest, now = url.removeprefix(self._server), time.monotonic()
        if rest == url or rest[:1] != "/" or self._due(rest, now):
            return (url,)
        bases = (each for each, until in self._until.items() if now >= until)
        return (*(base + rest for base in bases if base == self._noc or method != "POST"), url)

    def _due(self, rest: str, now: float) -> bool:
        """Whether the server itself is to say if there is something new."""
        if not self._copies or not NEWS.fullmatch(rest):
            return False
        if now - self._asked >= ITSELF:
            self._asked, self._itself = now, now + LASTS
        return now < self._itself

    def is_noc(self, url: str) -> bool:
        return bool(self._noc) and url.startswith(self._noc + "/")

    def pass_over(self, url: str = "") -> None:
        """Whoever has this address is no help now; without one, nobody of them is."""
        for base in self._until:
            if not url or url.startswith(base + "/"):
                self._until[base] = time.monotonic() + PASSED_OVER


def near_by(settings: Settings) -> Near | None:
    """Whom the settings name beside the server, if anybody."""
    some = settings.noc or settings.copies
    return Near(settings.noc, settings.server, settings.copies) if some else None
