"""A site's own server in front of the update server: asked first, and passed over as soon as it is no help.

In: both addresses, and that of something on the update server. Out: where to ask, in this order. Rules: nothing of it
is believed, as with any server; it is passed over for `PASSED_OVER` after it did not answer, or had metadata that are
refused, or older than what was believed already; a box that has one can always do without.

    Near("http://192.0.2.7:8080", "http://updates.example:8080").ways("http://updates.example:8080/layers/...")
"""

import time

from toweros_agent.settings import Settings

PASSED_OVER = 300.0
"""Seconds."""


class Near:
    """Of one box. `noc` and `server` are base URLs."""

    def __init__(self, noc: str, server: str) -> None:
        self._noc, self._server, self._until = noc, server, 0.0

    def ways(self, url: str) -> tuple[str, ...]:
        """Where to ask for something of the server's; of others: there."""
        rest = url.removeprefix(self._server)
        passed_over = time.monotonic() < self._until
        return (url,) if rest == url or rest[:1] != "/" or passed_over else (self._noc + rest, url)

    def pass_over(self) -> None:
        """It is no help now."""
        self._until = time.monotonic() + PASSED_OVER


def near_by(settings: Settings) -> Near | None:
    """The site's own server, if the settings name one."""
    return Near(settings.noc, settings.server) if settings.noc else None
