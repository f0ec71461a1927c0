"""How often somebody may try to log in: few wrong words a minute, and nobody is kept out for ever.

In: who tries (an address, or a browser in which this name has logged in before), which name. Out: yes, or seconds to
wait. Rules: a bucket for who tries and one for who tries as whom; each try takes one of each, a right one puts them
back; they fill again by themselves. There is none for a name alone: whoever tries it from elsewhere must not be able to
keep its owner out. At most `MOST` buckets, those unused for longest go.

    throttle.wait("192.0.2.7", "ada")       # 0: try
"""

import time
from collections import OrderedDict
from dataclasses import dataclass

PACES = {"who": (10, 6.0), "name": (5, 20.0)}
"""So many tries at once; then one in so many seconds."""
MOST = 10_000
clock = time.monotonic


@dataclass
class Bucket:
    """Tries that are left, at some time (monotonic seconds)."""

    left: float
    then: float


class Throttle:
    """Of one process."""

    def __init__(self) -> None:
        self._buckets = OrderedDict[tuple[str, ...], Bucket]()

    def wait(self, who: str, name: str) -> float:
        """Take a try; or how many seconds until there is one."""
        buckets = [self._bucket(kind, key) for kind, key in _keys(who, name)]
        waits = [(1 - each.left) * PACES[kind][1] for (kind, _), each in zip(_keys(who, name), buckets, strict=True)]
        if max(waits) > 0:
            return max(waits)
        for each in buckets:
            each.left -= 1
        return 0.0

    def right(self, who: str, name: str) -> None:
        """It was: that try costs nothing."""
        for kind, key in _keys(who, name):
            self._bucket(kind, key).left += 1

    def _bucket(self, kind: str, key: tuple[str, ...]) -> Bucket:
        most, refill = PACES[kind]
        now = clock()
        found = self._buckets.setdefault(key, Bucket(most, now))
        found.left, found.then = min(found.left + (now - found.then) / refill, most), now
        self._buckets.move_to_end(key)
        while len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return found


def _keys(who: str, name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return ("who", (who,)), ("name", (who, name[:100]))
