"""Is what a box is offered what somebody signed? Checked offline, from public keys and files alone.

In: a folder with the published files (`repo/metadata`, `blobs/sha256`, `layers`: a state folder, or a copy of these),
and the public keys to believe. Out: one `Finding` per link of the chain, from the signed Git object to the last layer.
Rules: nothing that the controller remembers is believed, and no link is skipped because another one failed.

    tuf        python-tuf's client takes the box's targets, beginning with our root
    git        the commit, and the release tag if one deployed it, are whole and signed by whom the statement names
    statement  the signed targets bind that revision and these signers to this release
    record     the record of deployments says that it was deployed (where there is one)
    release    the document is the one that the targets name
    uki        signed for Secure Boot; kernel, initrd and arguments are the release's
    addon      signed for Secure Boot; names this release and this box
    loader     systemd-boot, signed for Secure Boot; the one that the release names (where it names one)
    provenance the builder signed where the release and each layer come from (where we have a builder.json)
    layer      the dm-verity root, computed again from every block

    findings = Verification(folder, Believed.of_folder(keys)).of("demo-1")
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, TargetFile, Updater

from gitops.assemble.boot.pe import sections, signed_digest
from gitops.assemble.boot.uki import signed_line
from gitops.errors import SourceError, TowerosError
from gitops.model import BlobRef, Builders, Layer, Release, Statement, sha256
from gitops.model.paths.repositories import box_repository
from gitops.publish.folder import Folder
from gitops.publish.offered import offered
from gitops.sign import secureboot
from gitops.sign.small.reading import Reader
from gitops.source.trust.objects import Signed, read
from gitops.source.trust.releases import check_tag
from gitops.source.trust.signatures import Trust, signer
from gitops.store.files.attestations import Attestations
from gitops.store.files.blobs import Blobs, Layers
from gitops.store.files.layout import Layout
from gitops.store.files.verity import root_hash
from gitops.workflows.provenance.check import of_layer, of_release, summary

ROOT, CERTIFICATE, BUILDER = "root.json", "db.crt", "builder.json"
NAMES, LOADER = ("release.json", "uki.efi", "addon.efi"), "loader.efi"
MARK = "@sha1:"
T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One link of the chain: what was looked at, whether it holds, and what it says."""

    what: str
    ok: bool
    says: str


@dataclass(frozen=True)
class Believed:
    """The public keys to believe: TUF root, Secure Boot certificate, the people who sign in Git, and the builders."""

    root: bytes
    certificate: Path
    people: Trust
    builders: Builders | None = None
    recorded: Callable[[str, int], tuple[Finding, ...]] = lambda *_: ()
    """What the record of deployments says of a revision and its sequence; nothing: it is not asked."""

    @classmethod
    def of_folder(cls, folder: Path, people: Trust | None = None) -> "Believed":
        """`folder` is the fleet repo's keys/, or the controller's (then with `people` from elsewhere).

        Raises:
            TowerosError: it holds no root or certificate.
        """
        for name in (ROOT, CERTIFICATE):
            if not (folder / name).is_file():
                hint = "--keys names a folder like a fleet repo's keys/"
                raise TowerosError(f"{folder / name} is missing", hint=hint)
        signers = people or Trust.of_files(folder / "allowed_signers", folder / "openpgp")
        builders = Builders.parse((folder / BUILDER).read_bytes()) if (folder / BUILDER).is_file() else None
        return cls((folder / ROOT).read_bytes(), folder / CERTIFICATE, signers, builders)


class Verification:
    """The chain of one box's release, in a folder of files."""

    def __init__(self, files: Path, believed: Believed) -> None:
        self._paths = Layout(files)
        self._metadata = Folder(self._paths.metadata)
        self._blobs, self._layers = Blobs(self._paths.blobs), Layers(self._paths.layers)
        self._attestations = Attestations(self._paths.attestations)
        self._believed = believed
        self._found: list[Finding] = []

    def of(self, name: str) -> tuple[Finding, ...]:
        """Every link for a box, or for the box that is offered the release of this digest.

        Raises:
            TowerosError: neither a box nor a release of this name is offered here.
        """
        box = self._box(name.removeprefix("sha256:"))
        self._found = []
        targets = self._try("tuf", lambda: self._targets(box)) or {}
        custom = targets["release.json"].custom if targets else None
        stated = self._try("statement", lambda: Statement.parse(custom or {})) if targets else None
        if stated:
            self._try("git", lambda: self._git(stated))
            self._try("record", lambda: self._found.extend(self._believed.recorded(stated.revision, stated.sequence)))
            release = self._try("release", lambda: self._release(box, targets["release.json"], stated))
            if release:
                self._try("uki", lambda: self._uki(release, targets["uki.efi"]))
                self._try("addon", lambda: self._addon(release, targets["addon.efi"]))
                if release.content.boot or LOADER in targets:
                    self._try("loader", lambda: self._loader(release, targets.get(LOADER)))
                if self._believed.builders:
                    self._provenance(self._believed.builders, stated, targets, release)
                for layer in release.layers():
                    self._try("layer", lambda layer=layer: self._layer(layer))  # type: ignore[misc]
        return tuple(self._found)

    def _box(self, name: str) -> str:
        """Which box is meant: unsigned words of the metadata may answer that, for what follows is checked."""
        known = offered(Reader(), self._metadata)
        for path, target in known.items():
            box, _, file = path.partition("/")
            if file == "release.json" and name in (box, target.ref.sha256):
                return box
        hint = "`toweros status` lists the boxes; a release that was replaced is not offered any more"
        raise TowerosError(f"nothing called {name} is offered in {self._paths.metadata}", hint=hint)

    def _try(self, what: str, check: Callable[[], T]) -> T | None:
        try:
            return check()
        except TowerosError as error:
            self._say(what, error.message, ok=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self._say(what, f"unreadable: {type(error).__name__}: {error}", ok=False)
        return None

    def _say(self, what: str, says: str, *, ok: bool = True) -> None:
        self._found.append(Finding(what, ok, says))

    # --- the links ----------------------------------------------------------------------------------------------------

    def _targets(self, box: str) -> dict[str, TargetFile]:
        with tempfile.TemporaryDirectory(prefix="toweros-") as folder:
            fetcher = _Files(self._metadata, box_repository(box))
            try:
                client = Updater(folder, "file:", fetcher=fetcher, bootstrap=self._believed.root)
                client.refresh()
                infos = {name: client.get_targetinfo(f"{box}/{name}") for name in (*NAMES, LOADER)}
            except RepositoryError as error:
                raise TowerosError(f"{type(error).__name__}: {error}") from error
        targets = {name: target for name, target in infos.items() if target}
        if missing := {*NAMES} - {*targets}:
            raise TowerosError(f"the signed metadata has no {', '.join(missing)} of {box}")
        sequence = (targets["release.json"].custom or {})["sequence"]
        self._say("tuf", f"from our root to the targets; {box} is offered sequence {sequence}")
        return targets

    def _git(self, stated: Statement) -> None:
        """The objects that travel with the release, and what the statement says of them."""
        ref, _, commit = stated.revision.rpartition(MARK)
        objects = [read(self._blobs.read(ref.sha256)) for ref in stated.evidence or ()]
        commits = [each for each in objects if each.kind == "commit" and each.id == commit]
        tags = [each for each in objects if each.kind == "tag"]
        if stated.evidence is None:
            raise TowerosError("no Git object travels with it: an older controller made it, the next release has them")
        if not commits:
            raise TowerosError(f"no object of commit {commit} travels with the release")
        for tag in tags:
            if check_tag(tag.headers.get("tag", ""), tag) != commit:
                raise TowerosError(f"{tag.name} is on another commit than {commit}")
        named = [tag for tag in tags if tag.headers["tag"] == ref]
        if tags and not named:
            raise TowerosError(f"no object of tag {ref!r} travels with the release")
        people = {name for each in (*commits, *tags) if (name := self._signer(each, stated.time))}
        self._state(stated, people)

    def _signer(self, signed: Signed, at: int) -> str:
        """Who signed it, with a key that was good `at` that time; empty: nobody whom we believe."""
        if not signed.signature:
            self._say("git", f"{signed.name} is whole, and unsigned")
            return ""
        try:
            name = signer(signed, self._believed.people, at)
        except SourceError as error:
            self._say("git", error.message, ok=False)
            return ""
        self._say("git", f"{signed.name} is signed by {name}")
        return name

    def _state(self, stated: Statement, people: set[str]) -> None:
        """What the controller stated, beside what the objects prove."""
        names = stated.signers
        if not names:
            # Where we name people, a controller that asked for no signature is not believed without one.
            nobody = bool(self._believed.people) and not people
            more = ", and nobody whom we believe has signed" if nobody else ""
            self._say("statement", f"{stated.revision}; no signature was asked for{more}", ok=not nobody)
            return
        proven, others = sorted(people & set(names)), sorted(set(names) - people)
        words = f"{stated.revision}, signed by {', '.join(proven) or 'nobody whom we believe'}"
        more = f"; the controller says, also by {', '.join(others)}" if others else ""
        self._say("statement", words + more, ok=bool(proven))

    def _release(self, box: str, target: TargetFile, stated: Statement | None) -> Release:
        data = self._blobs.read(_digest(target))
        release = Release.parse(data)
        same = not stated or (release.sequence, release.content.digest) == (stated.sequence, stated.content)
        if release.box != box or not same:
            raise TowerosError("the document speaks of another box, sequence or content than the metadata")
        self._say("release", f"{release.digest}, sequence {release.sequence}, {len(release.layers())} layers")
        return release

    def _uki(self, release: Release, target: TargetFile) -> None:
        parts, content = self._boot_file(target), release.content
        size = content.initrd.size
        initrd, line = parts.get(".initrd", b"")[:size], parts.get(".initrd", b"")[size:]
        for section, data, ref in (
            (".linux", parts.get(".linux", b""), content.kernel),
            (".initrd", initrd, content.initrd),
        ):
            if BlobRef(sha256(data), len(data)) != ref:
                raise TowerosError(f"its {section} is not the release's")
        # An older controller's has nothing behind it.
        if line and line != signed_line(size, content.cmdline):
            raise TowerosError("its .initrd goes on behind the release's")
        if parts.get(".cmdline", b"").rstrip(b"\0").decode(errors="replace") != content.cmdline:
            raise TowerosError("its .cmdline is not the release's")
        self._say("uki", f"signed by {self._believed.certificate}; kernel and initrd are the release's")

    def _addon(self, release: Release, target: TargetFile) -> None:
        words = self._boot_file(target).get(".cmdline", b"").rstrip(b"\0").decode(errors="replace").split()
        expected = {"release": release.digest, "sequence": str(release.sequence), "box": release.box}
        for name, value in expected.items():
            if [word for word in words if word.startswith(f"toweros.{name}=")] != [f"toweros.{name}={value}"]:
                raise TowerosError(f"it names another {name} than the release")
        self._say("addon", f"signed by {self._believed.certificate}; names this release")

    def _loader(self, release: Release, target: TargetFile | None) -> None:
        if target is None:
            raise TowerosError("the signed metadata has none, and the release names one")
        self._boot_file(target)
        named = release.content.boot
        if named and signed_digest(self._blobs.read(_digest(target))) != named.loader:
            raise TowerosError("it is another systemd-boot than the release names")
        self._say("loader", f"signed by {self._believed.certificate}; {'' if named else 'not '}named by the release")

    def _provenance(
        self, builders: Builders, stated: Statement, targets: dict[str, TargetFile], release: Release
    ) -> None:
        """The builder's word on the release, and on every layer of it."""
        names = (*NAMES, LOADER) if release.content.boot else NAMES
        subjects = {name: _digest(targets[name]) for name in names if name in targets}
        claim = self._try("provenance", lambda: of_release(self._attestations, builders, subjects))
        if claim:
            same = claim.commit == stated.revision.rpartition(MARK)[2]
            more = "" if same else f", which is not that of {stated.revision}"
            by = f"{claim.builder} of TowerOS {claim.version}"
            self._say("provenance", f"the release: by {by} at commit {claim.commit}{more}", ok=same)
        layers = release.layers()
        claims = [
            self._try("provenance", lambda layer=layer: of_layer(self._attestations, builders, layer))  # type: ignore[misc]
            for layer in layers
        ]
        found = [each for each in claims if each]
        if len(found) == len(layers):
            self._say("provenance", summary(found))

    def _boot_file(self, target: TargetFile) -> dict[str, bytes]:
        data = self._blobs.read(_digest(target))
        if not secureboot.verify(data, self._believed.certificate):
            raise TowerosError(f"no signature of {self._believed.certificate} is on it")
        return sections(data)

    def _layer(self, layer: Layer) -> None:
        path = self._layers.path(layer.root)
        if not path.is_file():
            raise TowerosError(f"{layer.root} is missing")
        if path.stat().st_size != layer.size or root_hash(path) != layer.root:
            raise TowerosError(f"{layer.root} is damaged")
        self._say("layer", f"{layer.root}, {layer.size} bytes")


class _Files(FetcherInterface):
    """python-tuf's downloads, out of a folder: of the box's own repository, or of all boxes' where that is not."""

    def __init__(self, folder: Folder, own: str) -> None:
        self._folder, self._below = folder, f"{own}/" if folder.stamp(f"{own}/timestamp.json") else ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = unquote(url.rpartition("/")[2])
        data = self._folder.read(name if name.endswith(".root.json") else self._below + name)
        if data is None:
            raise DownloadHTTPError(f"{name} is missing", 404)
        return iter([data])


def _digest(target: TargetFile) -> str:
    hashes: dict[str, Any] = target.hashes
    return str(hashes["sha256"])
