"""Did dbx only grow? It lists what the firmware must not start, so what leaves it may start again.

In: its entries now (SHA-256 each), and `state/dbx.json` on `TOWEROS`: {"format": 1, "listed": [...], "grown": [...]}.
Out: the digests of what it was before, newest last, for as long as each held all of the one before it. Rules: one entry
less ends the row; a memory that is gone or damaged vouches for nothing. The controller judges (ADR 48).

    forbidden.grown(["a1...", "b2..."])    # ["9f86..."]: it was that, and everything in that is still there
"""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path

from toweros_agent.host.disk import write
from toweros_agent.nouns import FORMAT, digest, number, sha256

NAME = "dbx.json"
MAX_GROWN = 8


class Forbidden:
    """The memory is in `state`."""

    def __init__(self, state: Path) -> None:
        self.path = state / NAME

    def grown(self, listed: Iterable[str]) -> list[str]:
        now = sorted(listed)
        before, grown = self._before()
        if before == now:
            return grown
        grown = [*grown, digest_of(before)][-MAX_GROWN:] if set(before) <= set(now) else []
        with contextlib.suppress(OSError):  # told by the disk's own problem; the next look finds the same
            write(self.path, json.dumps({"format": FORMAT, "listed": now, "grown": grown}).encode())
        return grown

    def _before(self) -> tuple[list[str], list[str]]:
        """What was listed, and what that had grown from. A memory that is gone knows of nothing."""
        try:
            document = json.loads(self.path.read_bytes())
            if number(document["format"]) != FORMAT:
                return [], []
            listed, grown = (document[name] for name in ("listed", "grown"))
            return sorted(map(digest, listed)), [digest(each) if each else "" for each in grown]
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return [], []


def digest_of(listed: Iterable[str]) -> str:
    """Of what a key database lists, by the digests of its entries; "" when that is nothing."""
    lines = sorted(listed)
    return sha256("".join(f"{line}\n" for line in lines).encode()) if lines else ""
