"""What a site knows of the boxes that it starts by the network (`handing.Ground`), with a count of its own.

In: documents that the signed metadata named, reports that went by here. Out: what `handing` asks. Rules: a report
counts if the origin took it, or if it is signed by the key that the origin knows and is younger than the last one: so
what was written down off the wire ends no count; what is remembered is one small file of each box that something is
signed for; all of it outlives a restart without the origin.

    ground = Ground(copy)
    ground.show({"kiosk-3": found}, held={"kiosk-3"})
    ground.heard("kiosk-3")
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from gitops.errors import TowerosError, readable
from gitops.model import Json
from gitops.noc.copy import Copy
from gitops.rollout.netboot import Heard, falls_back
from gitops.store.files.blobs import arriving
from gitops.store.notes.netboot import BootSets, Starts
from gitops.workflows.media.elsewhere import Elsewhere
from gitops.workflows.media.handing import DISK, known, way_back

log = structlog.get_logger(__name__)

AHEAD = 86400
"""Seconds that a box's clock may be before ours; a report from later would make all others old."""
MAX_WORD = 100


@dataclass(frozen=True)
class Memory:
    """Of one box. `said`: the time of its last report, by its own clock (Unix seconds); `words`: that it fell back."""

    heard: Heard = field(default_factory=Heard)
    said: int = 0
    starts: Starts = field(default_factory=Starts)
    words: str = ""


class Ground:
    """Of one site. Asked and told by the server's threads, shown to by the pass."""

    def __init__(self, copy: Copy, doubt: Callable[[str], None] = lambda _: None) -> None:
        """`doubt` is told which files were handed out: a machine that fetches a damaged one can tell nobody."""
        self._copy, self._doubt = copy, doubt
        self._memory, self._shown = copy.root / "starts", copy.root / "starting.json"
        self._lock, self._known = threading.RLock(), dict[str, Memory]()
        self._held, self._boxes = set[str](), dict[str, Elsewhere]()
        self._machines = dict[str, str]()
        self._load()

    def show(self, found: Mapping[str, Elsewhere], held: Collection[str]) -> None:
        """From now on these are handed out, and no others. Raises StoreError."""
        with self._lock:
            if (found, {*held}) == (self._boxes, self._held):
                return
            self._take(found, held)
            rows = {box: [self._copy.blobs.put(each.encode()).sha256, box in held] for box, each in found.items()}
        with arriving(self._shown) as new:
            new.write_text(json.dumps(rows, sort_keys=True))

    def shown(self, box: str) -> Elsewhere | None:
        with self._lock:
            return self._boxes.get(box)

    def hear(self, box: str, body: bytes, *, taken: bool) -> None:
        """A report whose signature holds. `taken`: the origin believed it just now; else its key is known."""
        said = _report(body)
        with self._lock:
            before = self._recall(box)
            if box not in self._boxes or said is None or not (taken or _younger(said[1], before.said)):
                return
            after = replace(before, heard=said[0], said=said[1])
            if replace(after.heard, received=before.heard.received) != before.heard or before.starts.starts:
                self._remember(box, after)

    def counts(self, now: int) -> dict[str, Starts]:
        """Box -> the starts of which nothing has come yet."""
        with self._lock:
            boxes = [*self._boxes]
        found = {box: known(self, box, self._recall(box).starts.release, now) for box in boxes}
        return {box: each for box, each in found.items() if each.starts}

    def fallen(self, now: int) -> dict[str, str]:
        """Box -> that what it is offered did not come up here, and what it is handed."""
        counts = self.counts(now)
        return {
            box: self._recall(box).words
            for box, each in counts.items()
            if falls_back(each.starts) and each.release != DISK and way_back(self.boot_sets(box).sets)
        }

    def machine(self, known_by: Iterable[str]) -> str:
        with self._lock:
            return next((self._machines[each] for each in known_by if each in self._machines), "")

    def boot_sets(self, box: str) -> BootSets:
        found = self.shown(box)
        return found.boot if found else BootSets()

    def heard(self, box: str) -> Heard:
        """Until it was heard here: what the origin knew of it."""
        own, found = self._recall(box).heard, self.shown(box)
        if own.received or found is None:
            return own
        return Heard(healthy=bool(found.runs), release=found.runs)

    def installed(self, box: str) -> bool:
        found, own = self.shown(box), self._recall(box).heard
        since = found.boot.since if found else 0
        return bool(since and found and (found.installed or (own.entry and own.received > since)))

    def running(self, box: str) -> str:
        return self.heard(box).release

    def held(self, box: str) -> bool:
        with self._lock:
            return box in self._held

    def starts(self, box: str) -> Starts:
        return self._recall(box).starts

    def keep(self, box: str, starts: Starts) -> None:
        with self._lock:
            self._remember(box, replace(self._recall(box), starts=starts))
        if found := self.shown(box):
            for ref in found.files():
                self._doubt(ref.sha256)

    def fell_back(self, box: str, words: str) -> None:
        log.warning("noc.fell_back", box=box, words=words)
        with self._lock:
            self._remember(box, replace(self._recall(box), words=words))

    def _recall(self, box: str) -> Memory:
        with self._lock:
            if box not in self._known and box in self._boxes:
                self._known[box] = _read(self._memory / f"{box}.json")
            return self._known.get(box, Memory())

    def _remember(self, box: str, memory: Memory) -> None:
        """A disk that is full costs the count after a restart, and no start."""
        self._known[box] = memory
        try:
            with arriving(self._memory / f"{box}.json") as new:
                new.write_bytes(TypeAdapter(Memory).dump_json(memory))
        except (TowerosError, OSError) as error:
            log.warning("noc.uncounted", box=box, error=readable(error).message)

    def _take(self, found: Mapping[str, Elsewhere], held: Collection[str]) -> None:
        for box in self._boxes.keys() - found.keys():
            self._known.pop(box, None)
            (self._memory / f"{box}.json").unlink(missing_ok=True)
        self._boxes, self._held = dict(found), {*held}
        self._machines = {each: box for box, it in found.items() for each in it.known_by}

    def _load(self) -> None:
        found, held = dict[str, Elsewhere](), set[str]()
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for box, row in json.loads(self._shown.read_bytes()).items():
                with contextlib.suppress(TowerosError, TypeError, ValueError):  # the next pass brings it again
                    digest, stays = row
                    found[box] = Elsewhere.parse(box, self._copy.blobs.read(digest))
                    held |= {box} if stays else set()
        self._take(found, held)


def _younger(said: int, before: int) -> bool:
    return before < said < time.time() + AHEAD


def _read(path: Path) -> Memory:
    try:
        return TypeAdapter(Memory).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Memory()


def _report(body: bytes) -> tuple[Heard, int] | None:
    """What a report says of the boot that it is from, and when it was written; None: not enough."""
    try:
        said: Json = json.loads(json.loads(body)["report"])
        words = [str(said.get(each) or "")[:MAX_WORD] for each in ("boot_id", "release", "entry")]
        heard = Heard(int(time.time()), words[0], said.get("health") == "Healthy", words[1], words[2])
        return heard, int(said.get("time") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
