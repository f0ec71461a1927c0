"""Several ways out of a box: which of them reach somebody, and that a trial of another network loses none.

In: what pkg/dhcpcd says of the links that Git names somebody to probe for (`/run/toweros/ways`: `NAME up|out`), and
`/etc/toweros/network`. Out: what to report; in a trial, why the network is not proven. Rules: the server may be
reached by one way while the change broke the other: a way that was up before the box started again, and that Git
still names, must be up for a network to count as tried. Where the network is the same, a cut line proves nothing.

    ways = Ways(places, disk.state)
    ways.remember()       # of a blessed release, whenever it looks after itself
    ways.lost()           # in a trial: "the way out fibre reaches nobody, and did before"
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from toweros_agent.host.disk import write
from toweros_agent.nouns import FORMAT
from toweros_agent.settings import Places

LARGEST = 64 << 10
"""Bytes of a file that count."""


class Ways:
    """The ways out of this box that are probed."""

    def __init__(self, places: Places, state: Path) -> None:
        self._said, self._network, self._memory = places.run / "ways", places.etc / "network", state / "ways.json"

    @property
    def problem(self) -> str:
        out = [name for name, state in self._now().items() if state == "out"]
        return f"way out without an answer: {', '.join(out)}" if out else ""

    def remember(self) -> None:
        """Raises `OSError`."""
        up = sorted(name for name, state in self._now().items() if state == "up")
        now = {"format": FORMAT, "network": self._digest(), "up": up}
        if now != self._before() and (up or self._memory.exists()):
            write(self._memory, json.dumps(now).encode())

    def lost(self) -> str:
        """Why the network of this trial is not proven, or ""."""
        before, now = self._before(), self._now()
        if not before or before["network"] == self._digest():
            return ""
        probed = {words[1] for words in self._lines(self._network) if words[0] == "probe" and len(words) == 3}
        lost = [name for name in before["up"] if name in probed and now.get(name) != "up"]
        return f"the way out {lost[0]} reaches nobody, and did before" if lost else ""

    def _now(self) -> dict[str, str]:
        return {words[0]: words[1] for words in self._lines(self._said) if len(words) == 2}

    def _before(self) -> dict[str, Any] | None:
        try:
            known = json.loads(_read(self._memory))
            return known if isinstance(known["network"], str) and isinstance(known["up"], list) else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _digest(self) -> str:
        try:
            return hashlib.sha256(_read(self._network)).hexdigest()
        except OSError:
            return ""

    @staticmethod
    def _lines(path: Path) -> list[list[str]]:
        try:
            return [words for line in _read(path).decode(errors="replace").splitlines() if (words := line.split())]
        except OSError:
            return []


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST)
