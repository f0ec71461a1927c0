"""The releases of a site's boxes, built again one after the other beside the passes, and what came of it.

In: what each pass sees offered. Out: a `Proof` for each box, which outlives a restart. Rules: what was proven is not
built again; what failed is tried again after `AGAIN`; an alarm holds nothing back: boxes believe what is signed, and
people decide (ADR 81). With `first`, layers are awaited that are being made here.

    prover = Prover(copy, lambda: Bench.of(settings), folder)
    prover.offered(passed)
    prover.work()
    prover.proofs["site-7"].outcome
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from gitops.assemble.boot.pe import sections
from gitops.errors import AssembleError, DocumentError, TowerosError, readable
from gitops.model import Release, Statement, canonical, sha256
from gitops.noc.copy import Copy
from gitops.noc.mirror import Passed
from gitops.noc.proving import inside
from gitops.noc.proving.comparing import BOOT_FILES, Published, boot_files, compare
from gitops.noc.proving.making import Bench, Made, RefusedError
from gitops.noc.showing.state import Outcome, Proof
from gitops.store.files.blobs import Layers, arriving
from gitops.store.files.layout import Layout
from gitops.workflows.provenance.rebuild import Comparison

log = structlog.get_logger(__name__)

AGAIN = 600.0
"""Seconds until what could not be built, or was refused, is tried again."""
NAME, FOLDER = "proofs.json", "workshop"
STATED = ("revision", "sequence", "content", "time", "signers")
"""What is compared of what the metadata state."""
MAX_PARTS = 20
_PROOFS = TypeAdapter(dict[str, Proof])


class Prover:
    """One thread works; others ask."""

    def __init__(self, copy: Copy, bench: Callable[[], Bench], folder: Path, *, first: bool = False) -> None:
        self._copy, self._open, self._first = copy, bench, first
        self._bench: Bench | None = None
        self._file, self._lock, self._news = folder / NAME, threading.Lock(), threading.Event()
        self._proofs, self._tried = _remembered(self._file), dict[str, float]()
        self._wanted: dict[str, tuple[str, Passed]] = {}
        self.layers = Layers(Layout(folder / FOLDER).layers)

    @property
    def proofs(self) -> Mapping[str, Proof]:
        """Box -> the last one."""
        with self._lock:
            return dict(self._proofs)

    def offered(self, passed: Passed) -> Mapping[str, str]:
        """A pass has seen what is offered. Returns box -> why its layers are awaited."""
        wanted = {box: (_key(box, passed), passed) for box in passed.releases}
        with self._lock:
            self._wanted = wanted
            for box in self._proofs.keys() - passed.offers.boxes.keys():
                del self._proofs[box]
        self._news.set()
        if not self._first:
            return {}
        return {box: "its release is being built here" for box, (key, _) in wanted.items() if not self._known(box, key)}

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Work beside, while the context lasts. A build that is under way is not waited for."""
        stop = threading.Event()
        threading.Thread(target=self._run, args=(stop,), name="prover", daemon=True).start()
        try:
            yield
        finally:
            stop.set()
            self._news.set()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._news.wait(AGAIN)
            self._news.clear()
            if not stop.is_set():
                try:
                    self.work()
                except Exception as error:  # a disk that fails, say: whoever waits for us must not do so for ever
                    log.error("noc.prover", why=readable(error).message)

    def work(self) -> None:
        """Build what was not built yet."""
        with self._lock:
            wanted = dict(self._wanted)
        # As a controller judged them: the oldest commit first.
        for box, (key, passed) in sorted(wanted.items(), key=lambda row: row[1][1].releases[row[0]].sequence):
            if self._due(box, key, passed):
                self._tried[box] = time.monotonic()
                self._keep(box, self._prove(box, key, passed))

    def _known(self, box: str, key: str) -> bool:
        with self._lock:
            return box in self._proofs and self._proofs[box].key == key

    def _due(self, box: str, key: str, passed: Passed) -> bool:
        targets, layers = passed.offers.boxes[box], passed.releases[box].layers()
        if not all(self._copy.blobs.has(targets[name].sha256) for name in BOOT_FILES if name in targets):
            return False
        with self._lock:
            proof = self._proofs.get(box)
        if proof is None or proof.key != key:
            return True
        if not proof.whole:
            return all(self._copy.layers.has(layer.root) for layer in layers)
        told = proof.outcome in (Outcome.SAME, Outcome.DIFFERENT)
        return not told and time.monotonic() - self._tried.get(box, -AGAIN) >= AGAIN

    def _prove(self, box: str, key: str, passed: Passed) -> Proof:
        now = int(time.time())
        try:
            published = self._published(box, passed)
            self._bench = self._bench or self._open()
            made = self._bench.make(box, published.stated, published.release.sequence, published.server)
            found = compare(published, made)
            different = [each for each in found if not each.same]
            if not different:
                words = f"{len(found)} parts are what {made.revision} gives; its server is {published.server or 'none'}"
                return Proof(key, Outcome.SAME, words, now)
            log.error("noc.differs", box=box, parts=[each.part for each in different])
            return self._different(key, different, published, made)
        except RefusedError as error:
            log.error("noc.refused", box=box, why=error.message)
            return Proof(key, Outcome.REFUSED, error.message[:2000], now)
        except Exception as caught:  # whatever a build ends in: boxes are served all the same
            why = readable(caught).message
            log.warning("noc.unproven", box=box, why=why)
            return Proof(key, Outcome.FAILED, why[:2000], now)

    def _published(self, box: str, passed: Passed) -> Published:
        """Raises TowerosError: some of it is not here yet, or damaged."""
        targets = passed.offers.boxes[box]
        read = {name: self._copy.blobs.read(targets[name].sha256) for name in BOOT_FILES if name in targets}
        return Published(passed.releases[box], read, _stated(passed, box))

    def _different(self, key: str, different: list[Comparison], published: Published, made: Made) -> Proof:
        parts, whole = [], True
        for each in different[:MAX_PARTS]:
            try:
                where = self._inside(each, published, made)
            except _AwayError:
                where, whole = [f"the origin's is not here yet: {each.published}"], False
            parts.append(f"{each.part}: {'; '.join(where)}")
        told = [part for part in parts if not part.startswith(("content:", "release.json:", "addon.efi:"))] or parts
        says = f"{len(different)} parts differ from what {made.revision} gives here; {told[0]}"
        return Proof(key, Outcome.DIFFERENT, says[:2000], int(time.time()), tuple(each[:2000] for each in parts), whole)

    def _inside(self, each: Comparison, published: Published, made: Made) -> list[str]:
        part, ours = each.part, made.assembled
        if not each.published or not each.rebuilt:
            return ["the origin has none" if each.rebuilt else "only the origin has it"]
        if " layer " in part:
            if not self._copy.layers.has(each.published):
                raise _AwayError
            return inside.in_layers(self._copy.layers.path(each.published), self.layers.path(each.rebuilt))
        if part in ("kernel", "initrd"):
            pair = (_within(published.boot["uki.efi"], part, published.release), _within(ours.uki, part, ours.release))
            return inside.in_initrds(*pair) if part == "initrd" else inside.in_bytes(*pair)
        if part in published.boot:
            return inside.in_boot_files(published.boot[part], boot_files(made)[part])
        if part == "release.json":
            return inside.in_documents(json.loads(published.release.encode()), json.loads(ours.release.encode()))
        return [f"{each.published[:200]} of the origin, {each.rebuilt[:200]} here"]

    def _keep(self, box: str, proof: Proof) -> None:
        with self._lock:
            if box in self._wanted:
                self._proofs[box] = proof
            rows = {name: asdict(each) for name, each in self._proofs.items()}
        try:
            with arriving(self._file) as new:
                new.write_bytes(canonical(rows))
        except (TowerosError, OSError) as error:  # a full disk: it is built again after a restart
            log.warning("noc.proof_unkept", why=readable(error).message)


class _AwayError(Exception):
    """The origin's file is not here."""


def _within(uki: bytes, part: str, release: Release) -> bytes:
    """Kernel or initrd of a UKI."""
    try:
        found = sections(uki)
    except AssembleError:
        return b""
    return found.get(".linux", b"") if part == "kernel" else found.get(".initrd", b"")[: release.content.initrd.size]


def _stated(passed: Passed, box: str) -> Statement:
    """Raises RefusedError: the metadata do not say of which commit it is: who has the keys need only be silent."""
    try:
        return Statement.parse(passed.offers.stated.get(box, {}))
    except DocumentError as error:
        raise RefusedError(f"what is signed does not say of which commit it is: {error}") from error


def _key(box: str, passed: Passed) -> str:
    """Of all that is proven. A hold is the controller's own affair, and changes nothing of it."""
    stated = {name: value for name, value in passed.offers.stated.get(box, {}).items() if name in STATED}
    files = {name: ref.sha256 for name, ref in passed.offers.boxes[box].items()}
    return sha256(canonical([files, stated]))


def _remembered(file: Path) -> dict[str, Proof]:
    try:
        return _PROOFS.validate_json(file.read_bytes())
    except (OSError, ValidationError, DocumentError):
        return {}
