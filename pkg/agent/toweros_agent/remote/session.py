"""A session: what a person and this box's sshd say to each other, carried between the server and the loopback.

In: an order that was judged, the line to the server. Out: how it ended. Rules: the box dials, nothing listens for it;
what is carried is SSH from end to end, so neither the server nor this code reads it; it has an end: `LONGEST` seconds,
`IDLE` seconds of silence, `MOST_BYTES`; it runs in threads of its own that feed no watchdog, wait for nobody's locks
and end with the process: whatever becomes of it, the loop goes on.
"""

import socket
import threading
import time
from collections.abc import Callable

from toweros_agent.remote.line import Line, Over
from toweros_agent.remote.order import Order

SSHD = ("127.0.0.1", 22)
LONGEST, IDLE = 3600.0, 600.0
MOST_BYTES = 256 << 20
"""In each direction."""
PIECE = 32 << 10
LOOK = 1.0
"""Seconds between two looks whether it is to end."""
CONNECT = 5.0


class Session(threading.Thread):
    """`lines` gives the line for one direction. `why`: how it ended, "" while it goes on or ended by itself."""

    def __init__(self, order: Order, lines: Callable[[], Line], sshd: tuple[str, int] = SSHD) -> None:
        super().__init__(name=f"remote-{order.serial:016x}", daemon=True)
        self.order, self._lines, self._sshd = order, lines, sshd
        self.began = self._spoke = time.monotonic()
        self.seconds, self.why, self.over = 0, "", threading.Event()

    def run(self) -> None:
        local = None
        try:
            local = socket.create_connection(self._sshd, CONNECT)
            up = threading.Thread(target=self._carry, args=(self._up, local), daemon=True)
            up.start()
            self._carry(self._down, local)
            up.join()  # it looks each second, and has no wait without an end
        except OSError as error:
            self.end(f"sshd does not answer on this box: {error.strerror or error}")
        except Exception as error:  # it ends here: the box is not to know more of it than that
            self.end(f"unexpected {type(error).__name__}")
        finally:
            if local:
                local.close()
            else:
                self._lines().end(self.why)
            self.seconds = int(time.monotonic() - self.began)

    def end(self, why: str) -> None:
        """From here on nothing is carried any more. What was said first counts."""
        if not self.over.is_set():
            self.why = why
            self.over.set()

    def _carry(self, way: Callable[[Line, socket.socket], None], local: socket.socket) -> None:
        line = self._lines()
        try:
            way(line, local)
            self.end("")
        except Over as over:
            self.end(str(over))
        except OSError as error:
            self.end(f"sshd ended it: {error.strerror or error}")
        except Exception as error:
            self.end(f"unexpected {type(error).__name__}")
        finally:
            if way == self._up:
                line.end(self.why)  # at once: whoever waits for bytes on the other line hears it, too
            line.close()

    def _up(self, line: Line, local: socket.socket) -> None:
        while self._goes_on(line):
            try:
                local.settimeout(LOOK)
                data = local.recv(PIECE)
            except TimeoutError:
                continue
            if not data:
                return
            self._spoke = time.monotonic()
            line.write(data)

    def _down(self, line: Line, local: socket.socket) -> None:
        with socket.socket(fileno=socket.dup(local.fileno())) as out:  # a time-out of its own
            while self._goes_on(line):
                if data := line.read():
                    self._spoke = time.monotonic()
                    _send(out, data, self.over)

    def _goes_on(self, line: Line) -> bool:
        now = time.monotonic()
        if now - self.began > LONGEST:
            self.end(f"a session has {LONGEST / 60:.0f} minutes at most")
        elif now - self._spoke > IDLE:
            self.end(f"nothing was said for {IDLE / 60:.0f} minutes")
        elif line.at > MOST_BYTES:
            self.end(f"a session carries {MOST_BYTES >> 20} MiB at most")
        return not self.over.is_set()


def _send(out: socket.socket, data: bytes, over: threading.Event) -> None:
    rest = memoryview(data)
    while rest and not over.is_set():
        out.settimeout(LOOK)
        try:
            rest = rest[out.send(rest) :]
        except TimeoutError:
            continue
