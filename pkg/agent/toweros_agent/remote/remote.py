"""Logs and a shell for people, through the server: what this box does about requests that come with its reports.

In: the header of an answer to a report, what this release allows. Out: sessions, and the member `remote` of the report:
the last one, or why it was refused. Rules: nothing unless the release says so; a request counts once; so many at a
time, and no more; a restart does not wait for anybody: it is said, and the box goes.

    /etc/toweros/remote/allows          `logs` or `shell` (docs/formats.md)
    /etc/toweros/remote/authority.pub   whose certificates count
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from toweros_agent.nouns import Json, Refused, sha256
from toweros_agent.remote.line import PATIENCE, Line
from toweros_agent.remote.order import LOGS, SHELL, Order, Stranger
from toweros_agent.remote.session import LONGEST, SSHD, Session
from toweros_agent.report import Report, Reporter

EACH = 3
"""Sessions at a time."""
ASKED = 3
"""Requests of one answer that are looked at."""
REMEMBERED = 2000
"""Requests that were looked at and are not again; each ends within minutes."""
GOODBYE = 2.0
"""Seconds that a restart gives the server to hear why a session ends."""
LARGEST = 64 << 10
CONTEXT = b"toweros remote 1\n"
"""What this box's key signs with the session's name: nothing else that it signs begins so."""


class Remote:
    """Of one boot."""

    def __init__(self, etc: Path, reporter: Reporter, log: Callable[[str], None], sshd: tuple[str, int] = SSHD) -> None:
        self._folder, self._reporter, self._log, self._sshd = etc / "remote", reporter, log, sshd
        self._seen: dict[str, float] = {}
        self._sessions: list[Session] = []
        self._last: Json | None = None

    def look(self) -> None:
        """Take the requests that came with the last answer. Trouble with one is never trouble for the box."""
        self._sweep()
        for text in self._reporter.http.remote.split()[:ASKED]:
            name = sha256(text.encode())
            if name in self._seen:
                continue
            while len(self._seen) >= REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[name] = time.monotonic()
            try:
                self._take(text)
            except Stranger as error:
                self._log(f"remote: {error}")
            except Exception as error:  # whatever it is: nobody comes in, and the box goes on
                self._log(f"remote: unexpected {type(error).__name__}: {error}")

    def told(self, report: Report) -> Report:
        """The report, with the last session."""
        self._sweep()
        if running := [each for each in self._sessions if each.is_alive()]:
            self._last = said(running[-1].order, "open")
        return replace(report, remote=self._last)

    def end(self, why: str) -> None:
        """Before a restart: say why, to whoever is there; nothing waits for them."""
        for session in self._sessions:
            session.end(why)
        until = time.monotonic() + GOODBYE
        for session in self._sessions:
            session.join(max(until - time.monotonic(), 0))

    def _take(self, text: str) -> None:
        order = Order.read(text, self._read("authority.pub"))
        try:
            order.judge(self._reporter.box, self._allowed(), time.time())
            if len(self._sessions) >= EACH:
                raise Refused(f"{EACH} sessions are open on this box already")
        except Refused as error:
            self._log(f"remote: no {order.kind} for {order.by}: {error}")
            self._last = said(order, "refused", str(error))
            if order.box == self._reporter.box:
                self._decline(order, str(error))
            return
        self._log(f"remote: {order.kind} for {order.by}")
        session = Session(order, self._line(order, LONGEST + PATIENCE), self._sshd)
        self._sessions.append(session)
        session.start()

    def _decline(self, order: Order, why: str) -> None:
        """Say why not, in a thread of its own: a server that is slow to hear it keeps the loop from nothing."""
        end = self._line(order, PATIENCE)().end
        threading.Thread(target=end, args=(why,), name=f"declines-{order.serial:016x}", daemon=True).start()

    def _line(self, order: Order, seconds: float) -> Callable[[], Line]:
        proof = f"TowerOS {self._reporter.identity.sign(CONTEXT + order.session.encode()).hex()}"
        url = f"{self._reporter.server}/api/v1/remote/{order.session}/box"
        way, end = self._reporter.http.way, time.monotonic() + seconds
        return lambda: Line(url, proof, way, end)

    def _sweep(self) -> None:
        for session in [each for each in self._sessions if not each.is_alive()]:
            self._sessions.remove(session)
            order, why = session.order, session.why
            self._last = said(order, "ended", why, session.seconds)
            self._log(f"remote: {order.kind} for {order.by} ended after {session.seconds} s{': ' * bool(why)}{why}")

    def _allowed(self) -> str:
        said = self._read("allows").strip()
        return said if said in (LOGS, SHELL) else ""

    def _read(self, name: str) -> str:
        try:
            with (self._folder / name).open(errors="replace") as file:
                return file.read(LARGEST)
        except OSError:
            return ""


def said(order: Order, state: str, why: str = "", seconds: int = 0) -> Json:
    """The member `remote` of a report (contracts/report)."""
    document = {"serial": order.serial, "kind": order.kind, "by": order.by[:200], "state": state}
    return {**document, **({"why": why[:500]} if why else {}), **({"seconds": seconds} if seconds else {})}
