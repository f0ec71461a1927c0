"""What the box says of itself, signed with its own key (contracts/report).

A report is sent when anything but its time and facts changed; and at each look at the offer where the server takes the
small form (outgoing/small.py), else every `REPEAT` seconds. When the server is away it stays due;
the newest one then tells everything, failures included, because those are kept on the disk. The counter is the
milliseconds since boot: it rises within a boot id and needs no memory. Where the signed metadata name a key for
receipts, only the server's signature over the report's digest says that it arrived: anybody can answer 200.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from toweros_agent import VERSION
from toweros_agent.facts.facts import Facts
from toweros_agent.machine import State
from toweros_agent.nouns import FORMAT, Json, Refused, canonical, sha256
from toweros_agent.offer.net import RECEIPT, Http, NetError
from toweros_agent.offer.proving import Prover
from toweros_agent.outgoing.fitting import fitting
from toweros_agent.outgoing.identity import Identity, fingerprint
from toweros_agent.outgoing.receipt import Receipt
from toweros_agent.outgoing.rows import CheckRow, FailureRow, Health, ResetRow
from toweros_agent.outgoing.small import Small
from toweros_agent.turn.proof import Proof, ticks

REPEAT = 600.0
CLOCK = 300
"""Seconds that two clocks may differ."""
EARLY = 0.9
"""Of a poll: clocks of a wait are not that exact."""
UNREAD = (400, 403, 412, 413, 415, 422)
"""What may be said of the small form alone: an older server, a site's own while its origin is away, or that the server
does not have what it builds on."""
SELDOM = ("hardware", "kept", "place", "bundle", "turn", "facts", "remote")
"""Members that are only there where they say something."""
WAITS = "an update waits until the server is back: it could not say that it was reached; the site keeps the reports"
UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"))


@dataclass(frozen=True)
class Report:
    """The report, without what changes by itself. Its members are those of the document."""

    sequence: int
    release: str
    content: str
    phase: State
    health: Health
    error: str
    staged: int
    rollback: int
    entry: str
    degraded: Sequence[str]
    checks: Sequence[CheckRow]
    fetched: Json
    failures: Sequence[FailureRow]
    resets: Sequence[ResetRow] = ()
    retried: Sequence[str] = ()
    firmware: Json | None = None
    trusted: Json | None = None
    room: Json | None = None
    ssh: str = ""
    hardware: Json | None = None
    """Of a machine without a name: what it says of itself to whoever gives it one."""
    kept: str = ""
    place: str = ""
    """Where the layers lie, unless that is a disk."""
    bundle: str = ""
    """What becomes of the stick that is plugged in."""
    turn: Json | None = None
    """What is to come, and what that waits for (turn/turn.py)."""
    remote: Json | None = None
    """The last session of somebody who came in through the server (remote/remote.py)."""
    facts: Json | None = field(default=None, compare=False)
    """What an operator asks for (facts/): read when a report goes out, and no reason for one."""


def clock_problem(ahead: float) -> str:
    """In words that stay the same while the difference does."""
    if abs(ahead) < CLOCK:
        return ""
    unit, name = next((unit, name) for unit, name in UNITS if abs(ahead) >= unit)
    return f"the clock is {'ahead of' if ahead > 0 else 'behind'} the server's by {abs(ahead) // unit:.0f} {name}"


class Reporter:
    """Posts the reports of `box`, signed with the key of `identity`.

    `receipts` is the key (hex) by which the server signs that it got one, "" when it does not. `reached` is when it was
    last proven to have got one (monotonic); `clock` is what is wrong with ours by the server's signed word. `pause`:
    seconds until the next look at the offer.
    """

    def __init__(
        self, http: Http, server: str, box: str, identity: Identity, boot_id: Path, facts: Facts | None = None
    ) -> None:
        self.http, self.server, self.identity, self.boot_id = http, server, identity, boot_id
        self.facts, self.pause, self._small = facts, REPEAT, Small()
        self.speak_as(box)
        http.prover = Prover(lambda: self.box, identity.sign)
        self._sent: Report | None = None
        self._at = 0.0
        self.receipts = ""
        self.reached, self.clock, self.proof = float("-inf"), "", Proof()

    def speak_as(self, box: str) -> None:
        """The name under which all reports from now on are sent."""
        self.box, self.url = box, f"{self.server}/api/v1/boxes/{box}/report"
        self._small.forget()

    def heard(self, phase: State) -> bool:
        """Whether the last report that arrived said that the box is in this state."""
        return self._sent is not None and self._sent.phase == phase

    @property
    def waits(self) -> str | None:
        """Why no trial begins: it could not end well, as nobody there can sign that a report arrived (ADR 72)."""
        return WAITS if self.receipts and self.http.waits else None

    @property
    def each_time(self) -> bool:
        """Whether a report goes with each look: it is small, and whoever takes it passes it on."""
        return self._small.has and not self.http.waits

    @property
    def every(self) -> float:
        """In so many seconds the next report comes, at the latest."""
        return self.pause if self.each_time else math.ceil(REPEAT / self.pause) * self.pause

    def offer(self, report: Report, pause: float = REPEAT) -> str:
        """Send `report` if it is due; return what went wrong ("" when nothing did). `pause`: as above."""
        self.pause = max(pause, 1.0)
        due = self.pause * EARLY if self.each_time else REPEAT
        if report == self._sent and time.monotonic() - self._at < due:
            return ""
        return self.send(report)

    def send(self, report: Report) -> str:
        """Send `report` in any case; return what went wrong."""
        now = time.monotonic()
        try:
            self._deliver(self.document(report), news=report != self._sent)
        except (NetError, Refused, OSError, ValueError) as error:
            unknown = isinstance(error, NetError) and error.status == 403
            ours = f"; this box's key is {fingerprint(self.identity.public)}" if unknown else ""
            return f"the report was not taken: {error}{ours}"
        self._sent, self._at = report, now
        return ""

    def _deliver(self, document: Json, news: bool) -> None:
        """In its small form where that is taken, else whole: a site's own server on the way reads news. Raises as
        `_post`."""
        text = canonical(document)
        small = self.each_time and not news
        body = self._small.body(document, self.identity.sign(text).hex()) if small else None
        if body:
            try:
                return self._post(text, body)
            except NetError as error:
                if error.status not in UNREAD:
                    raise
        self._small.forget()
        self._post(text, self.envelope(text))
        if self.http.small and not self.http.waits:
            self._small.keep(text, document)

    def _post(self, text: bytes, body: bytes) -> None:
        """Raises `NetError`, or `Refused` when nothing proves that it arrived, or that it counts."""
        problem: NetError | None = None
        asked = ticks()
        try:
            header = self.http.post(self.url, body)
        except NetError as error:
            header, problem = error.receipt, error
        if self.receipts and (header or not problem):
            receipt = self._receipt(header, text)
            self.reached, self.clock = time.monotonic(), clock_problem(time.time() - receipt.time)
            self.proof.heard(receipt.time, asked)
            if receipt.taken:
                return
        if problem or self.receipts:
            raise problem or Refused("the server says so")

    def _receipt(self, header: str, text: bytes) -> Receipt:
        """What the server says of exactly this report. Raises `Refused`."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if not header:
            raise Refused(f"there is no receipt: an older server, a stranger, or a proxy that drops {RECEIPT}")
        signature, _, signed = header.partition(" ")
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.receipts)).verify(
                bytes.fromhex(signature), signed.encode()
            )
        except (InvalidSignature, ValueError) as error:
            raise Refused("whoever answered is not the server: the receipt is not its own") from error
        receipt = Receipt.parse(signed.encode())
        if (receipt.box, receipt.report) != (self.box, sha256(text)):
            raise Refused("the receipt is for another report")
        return receipt

    def document(self, report: Report) -> Json:
        """The report with what changes by itself, and the facts of now."""
        if self.facts:
            report = replace(report, facts=self.facts.read(self.every))
        boot_id = self.boot_id.read_text().strip()
        counter = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        head = {"format": FORMAT, "box": self.box, "boot_id": boot_id, "counter": counter, "agent": VERSION}
        members = {name: each for name, each in asdict(report).items() if each or name not in SELDOM}
        return fitting({**members, **head, "time": int(time.time())})

    def text(self, report: Report) -> bytes:
        """The report itself, as it is signed."""
        return canonical(self.document(report))

    def envelope(self, text: bytes) -> bytes:
        """The whole request: report text, signature, and whose it is: a server that does not know the key can ask."""
        signature = self.identity.sign(text).hex()
        return canonical({"report": text.decode(), "signature": signature, "key": self.identity.public})
