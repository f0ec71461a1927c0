"""The builder says, and signs, what it made of what: once for each layer, and once for each release.

In: what a workshop made, the builder's key. Out: attestations in the store, where the server has them for boxes. Rules:

- a claim is made once, when the layer is first part of a release, and depends on nothing but what it says: there is no
  time in it, and another commit changes none that there is; boot files that were lost and signed again are other
  files (a signature holds the time), so their release is claimed again;
- it names the commit at which the package was built; a layer that is older than the claims says so (`adopted`): it was
  found in the store, built from the same inputs, and the commit is one that has these;
- a new key signs the same claims again when a release needs them;
- a fleet repo that asks for another builder than this one is refused before anything is offered: its boxes would never
  take anything again. Without a builder's key nothing is claimed, and all goes on as before.

    witness = Witness(store, signer, settings, workshop)
    witness.built("pkg/hello")
    witness.attest(publication)
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog

from gitops import __version__
from gitops.assemble.boot.pe import sections, signed_digest
from gitops.assemble.release import BOOTLOADER
from gitops.errors import DocumentError, SignError
from gitops.fleet.system_files import BUILDER_JSON
from gitops.model import MAX_ATTESTATION, Builders, Claim, Json, Layer, Material, Publication, Release
from gitops.model.provenance import LAYER, RELEASE, VERITY
from gitops.plan import PACKAGE
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import Store
from gitops.store.notes.documents import BuiltAt
from gitops.workflows.provenance.trace import Source, Trace
from gitops.workflows.workshop import Workshop

log = structlog.get_logger(__name__)

SERVER = "toweros.server="
ENCODED = MAX_ATTESTATION * 5 // 8
"""Bytes of a claim that fit into an attestation, with room for the signatures: base64 makes four of three."""


_Words = tuple[dict[str, str], Json, Json]
"""Subjects, what was asked, what followed."""


@dataclass(frozen=True)
class _Made:
    """When, and by what; `adopted`: it is older than this claim."""

    at: BuiltAt
    adopted: bool


class Witness:
    """For one revision."""

    def __init__(self, store: Store, signer: Signer, settings: Settings, workshop: Workshop) -> None:
        self._store, self._signer, self._settings, self._workshop = store, signer, settings, workshop
        self._now = BuiltAt(workshop.revision.commit, f"urn:toweros:builder:{settings.builder}", __version__)
        self._believed = signer.builders
        self._trace = Trace(store, workshop)
        self._before = store.layers.names()
        self._done: set[str] = set()
        self._signed: dict[str, str] = {}

    def agree(self) -> None:
        """Whether the boxes of this revision will believe us.

        Raises:
            SignError: they believe others only.
        """
        tree = self._workshop.tree
        if BUILDER_JSON not in tree.entries():
            return
        asked, ours = Builders.parse(tree.read(BUILDER_JSON)), self._believed
        if ours is None:
            hint = "restore builder.pem from the backup of the keys"
            raise SignError(f"{BUILDER_JSON} asks for signed builds, and there is no builder's key", hint=hint)
        if asked.fleet != ours.fleet or not {*ours.keys} <= {*asked.keys}:
            hint = (
                f"copy {self._settings.keys / 'builder.json'} there, or restore builder.pem from the backup of the keys"
            )
            raise SignError(
                f"{BUILDER_JSON} does not name this controller's builder: no box would take more", hint=hint
            )

    def built(self, path: str) -> None:
        """A package was built now."""
        if self._believed:
            self._store.notes.put(self._now, self._workshop.fleet.packages[path].key)

    def attest(self, publication: Publication) -> None:
        """Claim the release and each of its layers, where there is no claim yet that is about just these files.

        Raises:
            StoreError: a claim cannot be kept: then nothing may be offered.
        """
        if not self._believed:
            return
        new = [layer for layer in publication.release.layers() if layer.root not in self._done]
        todo = [layer for layer in new if not self._renewed(layer.root, {layer.root: layer.root})]
        if todo:
            box = self._workshop.fleet.boxes[publication.release.box]
            sources = self._trace.sources(box, publication.release)
            for layer in todo:
                self._write(layer.root, self._of_layer(layer, sources[layer.root], box.name))
        self._done |= {layer.root for layer in new}
        if not self._renewed(publication.document.sha256, _files(publication)):
            self._write(publication.document.sha256, self._of_release(publication))

    def _renewed(self, subject: str, subjects: Mapping[str, str]) -> bool:
        """Whether there is a claim about these subjects, signed by all our keys by now."""
        data = self._store.attestations.read(subject)
        signed = self._signer.attested(data) if data else None
        if signed is None:
            return False
        payload, whole = signed
        if not _about(payload, subjects):
            return False
        if not whole:
            self._store.attestations.write(subject, self._signer.attest(payload))
        return True

    def _write(self, subject: str, claim: Claim) -> None:
        self._store.attestations.write(subject, self._signer.attest(claim.encode()))
        log.info("claim.made", subject=subject, kind=claim.kind)

    def _of_layer(self, layer: Layer, source: Source, box: str) -> Claim:
        package = self._workshop.fleet.packages.get(source.package)
        made = self._made(layer, package.key if package else "")
        asked: Json = {"platform": self._settings.platform, "recipe": self._workshop.fleet.policy.recipe}
        asked |= {"package": source.package} if package else {"image": source.image} if source.image else {"box": box}
        inner: Json = {"adopted": made.adopted}
        if package:
            asked["arguments"] = [f"{name}={value}" for name, value in package.build_args]
            inner |= {"key": package.key, "tag": package.tag}
        materials = self._trace.materials(source)
        about = ({layer.root: layer.root}, asked, inner)
        claim = self._claim(LAYER, made.at, about, materials)
        if len(claim.encode()) > ENCODED:  # the lock, which is named, names its files
            kept = tuple(each for each in materials if not each.uri.startswith("pkg:"))
            claim = replace(claim, materials=kept)
        return claim

    def _made(self, layer: Layer, key: str) -> _Made:
        at = self._store.notes.get(BuiltAt, key) if key else None
        return _Made(at or self._now, at is None and layer.root in self._before)

    def _of_release(self, publication: Publication) -> Claim:
        release = publication.release
        subjects = _files(publication)
        asked: Json = {"box": release.box, "sequence": release.sequence, "ref": publication.revision.ref}
        asked |= {"server": self._server(publication), "platform": self._settings.platform}
        asked |= {"recipe": self._workshop.fleet.policy.recipe}
        if (commit := self._workshop.revision.commit) != publication.revision.commit:
            asked["pin"] = commit
        boot = {name: self._covered(digest) for name, digest in subjects.items() if name.endswith(".efi")}
        at = replace(self._now, commit=publication.revision.commit)
        about = (subjects, asked, {"content": release.content.digest})
        return replace(self._claim(RELEASE, at, about, self._parts(release)), byproducts=boot)

    def _covered(self, digest: str) -> str:
        """What the signature of a boot file covers; read once, as boxes share the large ones."""
        if digest not in self._signed:
            self._signed[digest] = signed_digest(self._store.blobs.read(digest))
        return self._signed[digest]

    def _server(self, publication: Publication) -> str:
        """What the addon says: the settings may say something else by now."""
        words = sections(self._store.blobs.read(publication.addon.sha256)).get(".cmdline", b"").rstrip(b"\0").decode()
        named = [word.removeprefix(SERVER) for word in words.split() if word.startswith(SERVER)]
        return named[0] if named else self._settings.server

    def _parts(self, release: Release) -> tuple[Material, ...]:
        content = release.content
        loader = self._workshop.built.get(BOOTLOADER)
        stubs = loader.layers if loader else ()
        return (
            Material("kernel", content.kernel.sha256),
            Material("initrd", content.initrd.sha256),
            *(Material(BOOTLOADER.removeprefix(PACKAGE), diff_id) for diff_id in stubs),
            *(Material("layer", layer.root, VERITY) for layer in release.layers()),
        )

    def _claim(self, kind: str, at: BuiltAt, about: _Words, materials: tuple[Material, ...]) -> Claim:
        assert self._believed
        return Claim(kind, self._believed.fleet, at.commit, *about, materials, at.builder, at.version)


def _files(publication: Publication) -> dict[str, str]:
    """What a release's claim is about, as a box asks for it: file -> SHA-256."""
    return {name: ref.sha256 for name, ref in publication.files.items()}


def _about(payload: bytes, subjects: Mapping[str, str]) -> bool:
    try:
        return Claim.parse(payload).subjects == subjects
    except DocumentError:
        return False
