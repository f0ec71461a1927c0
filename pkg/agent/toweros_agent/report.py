"""What the box says of itself, signed with its own key.

A report is sent when anything but its time changed, and every `REPEAT` seconds. When the server is away it stays due;
the newest one then tells everything, failures included, because those are kept on the disk. The counter is the
milliseconds since boot: it rises within a boot id and needs no memory.
"""

import time
from pathlib import Path
from typing import Any

from toweros_agent import VERSION
from toweros_agent.net import Http, NetError
from toweros_agent.nouns import FORMAT, Json, canonical

REPEAT = 600.0


class Reporter:
    """Posts the reports of `box`; `key` is its Ed25519 key in PKCS 8 PEM."""

    def __init__(self, http: Http, server: str, box: str, key: Path, boot_id: Path) -> None:
        self.http, self.box, self.key, self.boot_id = http, box, key, boot_id
        self.url = f"{server}/api/v1/boxes/{box}/report"
        self._sent: Json = {}
        self._at = 0.0
        self._signer: Any = None

    def offer(self, body: Json) -> str:
        """Send `body` if it is due; return what went wrong ("" when nothing did)."""
        now = time.monotonic()
        if body == self._sent and now - self._at < REPEAT:
            return ""
        try:
            self.http.post(self.url, self.signed(body))
        except (NetError, OSError, ValueError) as error:
            return f"the report was not taken: {error}"
        self._sent, self._at = body, now
        return ""

    def signed(self, body: Json) -> bytes:
        """The whole request: report text and signature."""
        boot_id = self.boot_id.read_text().strip()
        counter = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
        head = {"format": FORMAT, "box": self.box, "boot_id": boot_id, "counter": counter, "agent": VERSION}
        text = canonical({**body, **head, "time": int(time.time())})
        return canonical({"report": text.decode(), "signature": self._sign(text).hex()})

    def _sign(self, text: bytes) -> bytes:
        if self._signer is None:
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            self._signer = load_pem_private_key(self.key.read_bytes(), None)
        signature: bytes = self._signer.sign(text)
        return signature
