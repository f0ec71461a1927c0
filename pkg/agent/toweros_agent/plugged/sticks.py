"""Which sticks are there: the host puts a node for each into a folder (pkg/init, `sticks`), and takes it away.

In: that folder. Out: the sticks. Rules: at most `MOST` bundles at a time, out of `NODES` disks; one that had no bundle
is not asked again until it is plugged in anew: its node, NAME.N, has another number then.
"""

import os
from collections.abc import Callable
from pathlib import Path

from toweros_agent.offer.net import Http
from toweros_agent.plugged.stick import Stick

MOST, NODES = 4, 32


class Sticks:
    """Of one boot. `log` gets what people are to find later."""

    def __init__(self, folder: Path, http: Http, log: Callable[[str], None]) -> None:
        self._folder, self._http, self._log = folder, http, log
        self._there: dict[str, tuple[int, Stick]] = {}
        self._seen: dict[str, int] = {}

    def all(self) -> list[Stick]:
        """Those that are plugged in, also those without a bundle."""
        self._seen = nodes = self._nodes()
        for name in [*self._there]:
            if nodes.get(name) != self._there[name][0]:
                _, gone = self._there.pop(name)
                gone.close()
                self._log(f"{gone.name} is gone")
        for name, which in nodes.items():
            if name not in self._there and sum(not stick.problem for _, stick in self._there.values()) < MOST:
                stick = Stick(self._folder / name, self._http)
                self._there[name] = (which, stick)
                self._log(f"{stick.name}: {stick.problem or f'a bundle, on {stick.kind}'}")
                if stick.hung:  # each costs a while: the next one has its turn at the next look
                    break
        return [stick for _, stick in self._there.values()]

    def changed(self) -> bool:
        """Whether another one is there than at the last look, or when this was asked last."""
        before, self._seen = self._seen, self._nodes()
        return before != self._seen

    def _nodes(self) -> dict[str, int]:
        found = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    found[entry.name] = entry.inode()
        except OSError:  # an older host has no such folder
            return {}
        return dict(sorted(found.items())[:NODES])
