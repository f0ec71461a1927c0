"""One pass: look at what is signed, bring what is lacking, show it, sweep.

In: a source, a copy, boxes. Out: `Passed`, what each box still lacks and why. Rules: one box's trouble is that box's;
what is shown is whole: new metadata appear when all that they promise these boxes is here. They do not wait for what
cannot be had (nobody has it, it is not what is signed, there is no room), nor when the shown ones are about to expire.

    passed = Mirror(copy, source, root).run({"site-7"})
"""

import json
import shutil
import time
from calendar import timegm
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from gitops.errors import DocumentError, StoreError, TowerosError, readable
from gitops.files.named import named
from gitops.model import BlobRef, Layer, Release, sha256
from gitops.model.paths.repositories import BOXES
from gitops.noc import deltas
from gitops.noc.ahead.coming import ahead
from gitops.noc.content import ContentError, bring_attestation, bring_blob, bring_layer, prove, unpack
from gitops.noc.copy import Copy
from gitops.noc.origin import OriginError, Source
from gitops.noc.starting import bringing as starting
from gitops.noc.starting.ground import Ground
from gitops.noc.trust import MAX_METADATA, Offers, Trusted, TrustError
from gitops.noc.whose.chosen import EVERYBODY, Chosen
from gitops.publish.folder import Folder
from gitops.publish.targets import HELD, NETBOOT
from gitops.workflows.media.elsewhere import Elsewhere

log = structlog.get_logger(__name__)

FRESH = 2 * 86400
"""Seconds that the shown metadata hold at least while new ones wait for their content."""
MAX_RELEASE = 4 << 20
"""Bytes of a release document."""


@dataclass
class Passed:
    """What a pass came to. `lacking`: box -> why it does not have all that it is offered; `later`: some of it
    may come another time; `awaited`: and is being made; `away`: the source went away meanwhile."""

    offers: Offers
    lacking: dict[str, str] = field(default_factory=dict)
    later: bool = False
    awaited: bool = False
    away: str = ""
    layers: dict[str, Layer] = field(default_factory=dict)
    releases: dict[str, Release] = field(default_factory=dict)
    needed: set[str] = field(default_factory=set)
    starts: dict[str, Elsewhere] = field(default_factory=dict)
    """Box -> what starts it by the network."""


Watch = Callable[[Passed], Mapping[str, str]]


class Mirror:
    """Keeps `copy` what `source` offers to some boxes, as `root` vouches for it.

    `ground` hands out what starts boxes by the network; without one, none of that is brought. `watch` is told what is
    offered before layers are brought, and says (box -> why) whose layers need not be yet."""

    def __init__(
        self, copy: Copy, source: Source, root: bytes, watch: Watch | None = None, ground: Ground | None = None
    ) -> None:
        self.copy, self.source, self._watch, self._ground = copy, source, watch, ground
        self.trusted = Trusted(copy.tuf, root, source)
        self._vouched = set[str]()
        """Whose attestations were asked for since we began."""

    def run(self, boxes: Iterable[str], chosen: Chosen = EVERYBODY) -> Passed:
        """A pass, for these boxes and those that are `chosen`.

        Raises:
            TrustError: what is signed is refused. OriginError: it cannot be fetched. StoreError: it cannot be kept.
        """
        try:
            passed = Passed(self.trusted.look(boxes, chosen))
            for box in passed.offers.boxes:
                self._try(box, passed, lambda: self._release(box, passed))  # noqa: B023 - at once
                if self._ground and NETBOOT in passed.offers.stated[box]:
                    self._try(box, passed, lambda: self._starting(box, passed))  # noqa: B023
            waits = self._watch(passed) if self._watch else {}
            for box in passed.releases:
                self._try(box, passed, lambda: self._offered(box, passed, waits))  # noqa: B023
            ahead(passed.offers.stated, lambda box, of: self._bring(box, self._document(box, of, passed), of, passed))
            for box, found in passed.starts.items():
                self._try(box, passed, lambda: self._started(found, passed))  # noqa: B023
            deltas.make(self.copy, {box: it for box, it in passed.releases.items() if box not in passed.lacking})
            if self._shows(passed):
                self._show(passed)
                if self._ground:
                    self._hand_out(self._ground, passed)
            if not passed.away:
                self.copy.sweep(passed.needed)
            return passed
        except OSError as error:
            raise readable(error) from error

    def _try(self, box: str, passed: Passed, work: Callable[[], None]) -> None:
        if passed.away:
            passed.lacking.setdefault(box, passed.away)
            return
        try:
            work()
        except OriginError as error:
            passed.lacking[box] = error.message
            if not (error.missing or error.large):
                passed.later, passed.away = True, self._gone()
        except (ContentError, DocumentError, StoreError) as error:
            passed.lacking[box] = error.message
        except OSError as error:  # a full disk: what came so far is no use there
            shutil.rmtree(self.copy.incoming, ignore_errors=True)
            self.copy.incoming.mkdir(exist_ok=True)
            passed.lacking[box] = readable(error).message
        if box in passed.lacking:
            log.warning("noc.lacking", box=box, why=passed.lacking[box])

    def _gone(self) -> str:
        """Whether nobody is there any more: then each further box would wait for nothing."""
        try:
            self.source.get("metadata/timestamp.json", MAX_RELEASE)
        except OriginError as error:
            return error.message
        return ""

    def _release(self, box: str, passed: Passed) -> None:
        """The document of what a box is offered; all that it names is needed from here on."""
        passed.releases[box] = self._document(box, passed.offers.boxes[box], passed)

    def _document(self, box: str, targets: Mapping[str, BlobRef], passed: Passed) -> Release:
        passed.needed |= {ref.sha256 for ref in targets.values()}
        document = targets["release.json"]
        if document.size > MAX_RELEASE:
            raise ContentError(f"{box}: a release document of {document.size} bytes")
        if damaged(self.copy, document.sha256, None):
            self.copy.drop(document.sha256)
        bring_blob(self.source, f"targets/{box}/{document.sha256}.release.json", document, self.copy)
        release = Release.parse(self.copy.blobs.read(document.sha256))
        layers = {layer.root: layer for layer in release.layers()}
        passed.layers |= layers
        passed.needed |= layers.keys()
        return release

    def _offered(self, box: str, passed: Passed, waits: Mapping[str, str]) -> None:
        self._bring(box, passed.releases[box], passed.offers.boxes[box], passed, waits.get(box, ""))

    def _bring(
        self, box: str, release: Release, targets: Mapping[str, BlobRef], passed: Passed, waits: str = ""
    ) -> None:
        layers = release.layers()
        absent = [layer for layer in layers if not self.copy.has_layer(layer)]
        boot = [ref for ref in targets.values() if not self.copy.blobs.has(ref.sha256)]
        if absent or boot:
            # A packed copy is never larger than its layer; the largest one is here twice while it is proven.
            copies = 2 if self.copy.raw else 1
            largest = max((layer.size for layer in absent), default=0)
            size = copies * sum(layer.size for layer in absent) + sum(ref.size for ref in boot) + largest
            self.copy.make_room(size, passed.needed)
        for name, ref in targets.items():
            bring_blob(self.source, f"targets/{box}/{ref.sha256}.{name}", ref, self.copy)
        if absent and waits:
            passed.later, passed.awaited, passed.lacking[box] = True, True, waits
            return
        for layer in layers:
            bring_layer(self.source, layer, self.copy)
        for subject in (targets["release.json"].sha256, *(layer.root for layer in layers)):
            if absent or boot or subject not in self._vouched:
                bring_attestation(self.source, subject, self.copy)
                self._vouched.add(subject)

    def _starting(self, box: str, passed: Passed) -> None:
        """The documents of what starts a box by the network; all that they name is needed from here on, with what is
        handed out meanwhile."""
        digest = str(passed.offers.stated[box][NETBOOT])
        before = self._ground.shown(box) if self._ground else None
        found = starting.document(self.source, self.copy, box, digest) or before
        passed.needed.add(digest)
        for each in filter(None, {id(found): found, id(before): before}.values()):
            passed.needed |= {sha256(each.encode()), *(ref.sha256 for ref in each.files())}
            layers = starting.layers_of(starting.releases(self.source, self.copy, each))
            passed.layers |= layers
            passed.needed |= layers.keys()
        if found:
            passed.starts[box] = found

    def _started(self, found: Elsewhere, passed: Passed) -> None:
        layers = starting.layers_of(starting.releases(self.source, self.copy, found))
        starting.content(self.source, self.copy, found, layers, passed.needed)

    def _hand_out(self, ground: Ground, passed: Passed) -> None:
        """What is whole, and for the other boxes what was handed out before."""
        asked = [box for box, said in passed.offers.stated.items() if NETBOOT in said]
        found = {box: None if box in passed.lacking else passed.starts.get(box) for box in asked}
        shown = {box: it for box, each in found.items() if (it := each or ground.shown(box))}
        ground.show(shown, {box for box in shown if passed.offers.stated[box].get(HELD)})

    def _shows(self, passed: Passed) -> bool:
        holds = self._expires()
        return not passed.later or (holds - time.time() < FRESH and bool(holds or not passed.awaited))

    def _show(self, passed: Passed) -> None:
        """As a publisher writes them: what others lead to first, the timestamp last."""
        for name, data in passed.offers.files:
            if self.copy.metadata.read(name) != data:
                self.copy.metadata.write(name, data)
        shown = {name.rpartition("/")[0] for name, _ in passed.offers.files}
        for repository in self.copy.metadata.repositories():
            if repository not in shown:
                self.copy.metadata.remove(repository)
        self.copy.metadata.prune_small(shown - {""})

    def _expires(self) -> float:
        return shown_until(self.copy.metadata)

    def mend(self, names: Iterable[str], layers: dict[str, Layer]) -> list[str]:
        """Look again at content, and forget what is damaged; returns that."""
        found = []
        for name in names:
            if damaged(self.copy, name, layers.get(name)):
                log.warning("noc.damaged", content=name)
                self.copy.drop(name)
                found.append(name)
        return found


def shown_until(metadata: Folder) -> float:
    """Until when boxes take what is shown (Unix seconds): the first of those that have a repository of their own; 0:
    nothing is."""
    boxes = [name for name in metadata.repositories() if name.startswith(f"{BOXES}/")]
    ends = [expires(metadata.read(f"{name}/timestamp.json")) for name in boxes]
    return min(ends, default=expires(metadata.read("timestamp.json")))


def expires(timestamp: bytes | None) -> float:
    """Until when a timestamp holds, Unix seconds; 0: there is none that can be read."""
    try:
        words = json.loads(timestamp or b"")["signed"]["expires"]
        return float(timegm(time.strptime(words, "%Y-%m-%dT%H:%M:%SZ")))
    except (ValueError, KeyError, TypeError):
        return 0.0


def damaged(copy: Copy, name: str, layer: Layer | None) -> bool:
    """Whether content that is here is not what its name says. A layer's size is not in its name: `layer` has it."""
    scratch = copy.part(f"{name}.proof")
    try:
        if copy.blobs.has(name):
            copy.blobs.read(name)
        if layer and (packed := copy.layers.zst(name)).is_file():
            unpack(packed, scratch, layer)
        if layer and (raw := copy.layers.path(name)).is_file():
            prove(raw, layer)
    except (StoreError, ContentError):
        return True
    finally:
        scratch.unlink(missing_ok=True)
    return False


def told(error: TowerosError) -> str:
    """Whose fault it is, in words."""
    return f"refused: {error.message}" if isinstance(error, TrustError) else error.message


def read_root(path: Path) -> bytes:
    """The root that is trusted from the start.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        data = named(path, MAX_METADATA)
        if json.loads(data)["signed"]["_type"] != "root":
            raise ValueError
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", hint="name the fleet repo's keys/root.json") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{path}: it is no TUF root", hint="name the fleet repo's keys/root.json") from error
    return data
