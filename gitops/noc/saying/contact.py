"""A NOC tells its origin that it lives: signed with its own key, which the origin's settings name.

In: the state. Out: a request, after each pass. Rules: the key is made by the first start, and stays on the machine; an
origin that does not know us, or is older than this, changes nothing.

    contact = Contact(Path("state/noc.key"), "site-7", "http://updates.example:8080")
    contact.public          # what the origin's settings name: nocs = ["site-7=..."]
    contact.send(state)     # "": it was taken
"""

import os
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gitops.errors import StoreError
from gitops.model import Json, canonical
from gitops.noc.showing.state import State
from gitops.web.ask import Bounds, WebError, ask

BOUNDS = Bounds(connect=5.0, silence=10.0, longest=15.0, largest=4096)
UNTOLD = "the origin was not told"
EVERY = 60.0
"""Seconds between two of them."""


class Contact:
    """Says how `name` is, to `url`."""

    def __init__(self, key: Path, name: str, url: str) -> None:
        self.name, self.url, self._key = name, url, _key(key)
        self._last = 0.0

    @property
    def public(self) -> str:
        return self._key.public_key().public_bytes_raw().hex()

    def send(self, state: State) -> str:
        """What went wrong; empty: nothing, or it was too early for another one."""
        now = time.time()
        if 0 <= now - self._last < EVERY:
            return ""
        lacking = sum(map(bool, state.boxes.values()))
        text = canonical(
            {
                "format": 1,
                "noc": self.name,
                "time": int(now),
                "boxes": len(state.boxes),
                "lacking": lacking,
                "waiting": sum(state.waiting.values()),
                "says": state.words(now),
            }
        )
        problem = self._post("contact", text)
        self._last = self._last if problem.startswith(UNTOLD) else now
        return problem

    def starts(self, rows: Json) -> str:
        """What this site handed out to machines that the network starts. What went wrong."""
        return self._post("starts", canonical({"format": 1, "noc": self.name, "starts": rows}))

    def prove(self, challenge: str) -> str:
        """The header by which this NOC fetches where only the fleet's own do (`server.boxes.fetching`)."""
        name = f"noc/{self.name}"
        signature = self._key.sign(f"toweros fetch 1\n{name}\n{challenge}\n".encode())
        return f"TowerOS-Fetch {name} {challenge} {signature.hex()}"

    def _post(self, kind: str, text: bytes) -> str:
        body = canonical({kind: text.decode(), "signature": self._key.sign(text).hex()})
        url = f"{self.url}/api/v1/nocs/{self.name}/{kind}"
        try:
            with ask(url, BOUNDS, {"Content-Type": "application/json"}, body=body, redirects=False) as answer:
                return "" if answer.status == 204 else f"the origin does not list this NOC: HTTP {answer.status}"
        except WebError as error:
            return f"{UNTOLD}: {error}"


def _key(path: Path) -> Ed25519PrivateKey:
    try:
        if path.exists():
            return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
        key = Ed25519PrivateKey.generate()
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.private_bytes_raw().hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        return key
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="is the disk full?") from error
    except ValueError as error:
        hint = "remove it: the next start makes another one, whose public half the origin's settings must name"
        raise StoreError(f"{path} is damaged", hint=hint) from error
