"""What boxes say, kept while the origin is away: `reports/BOX/NUMBER.json`, passed on in order when it is back.

In: signed reports as they came. Out: the same, oldest first. Rules: a report is kept only if its own key signed it,
and, once the origin has taken one of the box, only if that was the same key; what says the same as the last one takes
its place; of each box the newest `EACH` stay, of all boxes `BYTES`, those of whoever has most go first. Nobody but the
origin can say that a report counts, and nothing here says so.

    queue = Reports(folder)
    queue.keep("site-7", body); queue.next("site-7"); queue.done(path)
"""

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gitops.errors import StoreError, TowerosError
from gitops.model import Json
from gitops.store.files.blobs import arriving

EACH = 32
"""Reports of one box: what happened to it since, the newest of each kind."""
BYTES = 64 << 20
BOXES = 2000
BY_ITSELF = {"counter", "time", "checks", "room", "trusted", "facts"}
"""Members that change while nothing happens."""


class ReportError(TowerosError):
    """It is no report, or not that of this box."""


@dataclass(frozen=True)
class Said:
    """A report: whose key (hex) it says that it is, and what it says beside what changes by itself."""

    key: str
    text: str
    told: str

    @classmethod
    def of(cls, name: str, body: bytes) -> "Said":
        """Raises ReportError when it is none of `name` that its own key signed."""
        try:
            envelope: Json = json.loads(body)
            text, key = envelope["report"], bytes.fromhex(envelope["key"])
            Ed25519PublicKey.from_public_bytes(key).verify(bytes.fromhex(envelope["signature"]), text.encode())
            report: Json = json.loads(text)
            if report["box"] != name:
                raise ReportError("the report is another box's")
            told = json.dumps({each: value for each, value in report.items() if each not in BY_ITSELF}, sort_keys=True)
            return cls(key.hex(), text, told)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidSignature) as error:
            raise ReportError("it is no report that its own key signed") from error


class Reports:
    """The queue, in `folder`. One process uses it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.RLock()
        self._keys_file = folder / "keys.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._keys = _keys(self._keys_file)
        self.dropped = 0

    def keep(self, name: str, body: bytes) -> None:
        """Raises ReportError, or StoreError when the disk is full."""
        said = Said.of(name, body)
        with self._lock:
            if self._keys.get(name, said.key) != said.key:
                raise ReportError("it is signed by another key than the one that the origin knows")
            folder = self._folder / name
            if not folder.is_dir() and len(self.boxes()) >= BOXES:
                raise StoreError("too many boxes wait already")
            waiting = self._of(name)
            last = int(waiting[-1].stem) if waiting else 0
            place = waiting[-1] if waiting and _told(waiting[-1], name) == said.told else None
            with arriving(place or folder / f"{max(last + 1, time.time_ns() // 1_000_000):015}.json") as new:
                new.write_bytes(body)
            self._bound()

    def next(self, name: str) -> Path | None:
        """The oldest of a box; None: nothing waits."""
        with self._lock:
            waiting = self._of(name)
            return waiting[0] if waiting else None

    def done(self, path: Path) -> None:
        """The origin has it."""
        with self._lock:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def taken(self, name: str, body: bytes) -> None:
        """The origin has believed this report: that is the key of the box."""
        with contextlib.suppress(ReportError), self._lock:
            key = Said.of(name, body).key
            if self._keys.get(name) != key and (name in self._keys or len(self._keys) < BOXES):
                self._keys[name] = key
                with arriving(self._keys_file) as new:
                    new.write_text(json.dumps(self._keys, sort_keys=True))

    def by_its_key(self, name: str, body: bytes) -> bool:
        """Whether the key signed it that the origin knows."""
        with contextlib.suppress(ReportError), self._lock:
            return Said.of(name, body).key == self._keys.get(name)
        return False

    def boxes(self) -> list[str]:
        """Of whom something waits, in the order in which it came."""
        with self._lock:
            folders = [each for each in self._folder.iterdir() if each.is_dir()]
            oldest = {each.name: waiting[0].stem for each in folders if (waiting := self._of(each.name))}
            return sorted(oldest, key=lambda name: (oldest[name], name))

    def waiting(self) -> Mapping[str, int]:
        """Box -> how many reports wait."""
        with self._lock:
            return {name: len(self._of(name)) for name in self.boxes()}

    def _of(self, name: str) -> list[Path]:
        folder = self._folder / name
        return sorted(folder.glob("[0-9]*.json")) if folder.is_dir() else []

    def _bound(self) -> None:
        for name in self.boxes():
            for path in self._of(name)[:-EACH]:
                self._drop(path)
        sizes = {name: sum(path.stat().st_size for path in self._of(name)) for name in self.boxes()}
        while sum(sizes.values()) > BYTES:
            most = max(sizes, key=lambda name: sizes[name])
            oldest = self._of(most)[0]
            sizes[most] -= oldest.stat().st_size
            self._drop(oldest)

    def _drop(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self.dropped += 1


def whole(name: str, body: bytes) -> bool:
    """Whether a report that was kept is still one."""
    with contextlib.suppress(ReportError):
        return bool(Said.of(name, body))
    return False


def _told(path: Path, name: str) -> str:
    """What a kept report says; "" when it is damaged."""
    with contextlib.suppress(OSError, ReportError):
        return Said.of(name, path.read_bytes()).told
    return ""


def _keys(file: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_bytes())
        if isinstance(found, dict):
            return {str(name): str(key) for name, key in found.items()}
    return {}
