"""One stick: the agent's end of the process that reads it (reader.py).

In: the device's node. Out: the bundle's files, or `NetError`. Rules: nothing waits longer than `SILENCE` for a byte,
and all of it no longer than what the agent does now may take; a stick that hangs, or whose reader ended, is not asked
again until it is plugged in anew.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from toweros_agent import deadlines
from toweros_agent.host.connections import readable
from toweros_agent.offer.net import CHUNK, Http, NetError

BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from toweros_agent.plugged.reader import main; main()"
HERE = Path(__file__).parents[2]
MAX_LINE = 4096
STARTS = 2
"""So many times as long may the reader take to start: an interpreter does, on a slow box."""
GONE = "it was pulled out, or does not answer: plug it in again"


class Stick:
    """`problem`: why there is no bundle on it; `silent`: nobody has to know, as there was none."""

    def __init__(self, node: Path, http: Http) -> None:
        self.name, self.key = f"the stick {node.name.partition('.')[0]}", node.name
        self._http, self._left = http, b""
        self.problem, self.silent, self.kind = "", False, ""
        command: list[str | Path] = [sys.executable, "-I", "-c", BEGIN, HERE, node]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            self.kind = str(self._line(STARTS).get("kind", ""))
        except NetError as error:
            self.problem, self.silent = str(error), error.status == 404
            self.close()

    @property
    def hung(self) -> bool:
        """Whether it was waited for in vain."""
        return self.problem.endswith(GONE)

    def read(self, path: str, limit: int) -> bytes:
        """Raises `NetError`: it is not there (404), larger than `limit` (413), or cannot be read."""
        return b"".join(self._pieces(self._asked({"read": path, "limit": limit}), limit, path))

    def size(self, path: str) -> int | None:
        """None: it is not there. Raises `NetError`: nobody can say."""
        found = self._asked({"size": path})
        return found if isinstance(found, int) else None

    def copy(self, path: str, part: Path, limit: int, tick: Callable[[], None]) -> None:
        """All of it into `part`. Raises as `read`, and `OSError` when `part` cannot be written."""
        pieces = self._pieces(self._asked({"read": path, "limit": limit}), limit, path)
        with part.open("wb") as target:
            try:
                for piece in pieces:
                    target.write(piece)
                    tick()
                target.flush()
                os.fsync(target.fileno())
            except NetError:  # what there is of it is a stranger's: no other way goes on from it
                part.unlink(missing_ok=True)
                raise
            except OSError:
                for _ in pieces:  # a full disk is not the stick's fault: the next question finds it where it begins
                    tick()
                raise

    def write(self, path: str, data: bytes) -> None:
        """Over a file that is there. Raises `NetError`."""
        self._asked({"write": path, "length": len(data)}, data)

    def close(self) -> None:
        """A process that waits for a dead device cannot be ended: nobody waits for it."""
        self.problem = self.problem or GONE
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(0.2)

    def _asked(self, words: dict[str, Any], more: bytes = b"") -> Any:
        """The size that it answers. Raises `NetError`."""
        if self.problem:
            raise NetError(f"{self.name}: {self.problem}")
        assert self._child.stdin
        try:
            self._child.stdin.write(json.dumps(words).encode() + b"\n" + more)
            self._child.stdin.flush()
        except OSError as error:
            self.close()
            raise NetError(f"{self.name}: {GONE}") from error
        return self._line().get("size")

    def _line(self, patience: int = 1) -> dict[str, Any]:
        while b"\n" not in self._left:
            self._left += self._some(patience)
            if len(self._left) > MAX_LINE + CHUNK:
                self.close()
                raise NetError(f"{self.name}: its reader talks nonsense")
        line, _, self._left = self._left.partition(b"\n")
        try:
            words: dict[str, Any] = dict(json.loads(line))
        except (ValueError, TypeError) as error:
            self.close()
            raise NetError(f"{self.name}: its reader talks nonsense") from error
        if "error" in words:
            why = str(words["error"])
            raise NetError(f"{self.name}: {why}", 404 if words.get("missing") else 413 if "more than" in why else 0)
        return words

    def _pieces(self, size: Any, limit: int, path: str) -> Iterator[bytes]:
        left = size if isinstance(size, int) else 0
        if left > limit:
            self.close()
            raise NetError(f"{path}: more than {limit} bytes", 413)
        while left:
            piece = self._left or self._some()
            self._left, piece = piece[left:], piece[:left]
            left -= len(piece)
            yield piece

    def _some(self, patience: int = 1) -> bytes:
        """What comes next. Raises `NetError` when nothing does."""
        assert self._child.stdout
        handle = self._child.stdout.fileno()
        end = min(time.monotonic() + patience * deadlines.SILENCE, self._http.until)
        while not readable(handle, min(deadlines.SLICE, deadlines.SILENCE)):
            self._http.tick()
            if time.monotonic() > end:
                self.close()
                raise NetError(f"{self.name}: it does not answer: {GONE}")
        data = os.read(handle, CHUNK)
        if not data or time.monotonic() > self._http.until:  # what trickles has an end, too: that of the step
            self.close()
            raise NetError(f"{self.name}: {GONE}")
        return data
