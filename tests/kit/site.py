"""A fleet of three boxes with everything real but building and assembling, which are played by `PlayedBuilder`."""

import functools
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from gitops.assemble.release import BOOT_FILES, BOOTLOADER, Assembled, Assembler
from gitops.assemble.toolbox import Toolbox
from gitops.builders.bases.fetch import Bases
from gitops.controller import Controller
from gitops.errors import AssembleError, BuildError
from gitops.model import (
    BlobRef,
    BootFiles,
    Box,
    Content,
    Failure,
    Health,
    HealthSpec,
    Image,
    Layer,
    Package,
    Phase,
    Release,
    Report,
    Revision,
    Target,
    Tree,
    Verdict,
)
from gitops.publish.folder import Folder
from gitops.publish.offered import offered
from gitops.publish.targets import RELEASE, box_of, holds_of
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import Store
from gitops.store.files.verity import root_hash
from gitops.workflows.journal import Pass
from tests.kit.pe import a_pe_file
from tests.kit.published import shared_keys
from tests.kit.remote import Remote, scratch

DOCKERFILE = "FROM scratch\nCOPY file /file\n"
ASSEMBLER = ("toolbox", "initrd", "bootloader", "kernel", "init")
FILES = {
    "fleet.yaml": "source: {branch: main}\n",
    "boot/a.yml": (
        'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
        'services:\n  - {name: hello, image: "@pkg:../pkg/hello"}\n'
    ),
    "roles/vm.yaml": "boot: [boot/a.yml]\n",
    **{f"boxes/{name}.yaml": "role: vm\n" for name in ("a", "b", "c")},
    **{f"pkg/{name}/build.yml": f"image: {name}\n" for name in (*ASSEMBLER, "hello")},
    **{f"pkg/{name}/Dockerfile": DOCKERFILE for name in (*ASSEMBLER, "hello")},
    **{f"pkg/{name}/file": f"{name}\n" for name in (*ASSEMBLER, "hello")},
    "keys/authorized_keys": "ssh-ed25519 AAAA ada\n",
    "keys/root.json": "{}",
}
HELLO = {"pkg/hello/file": "hello 2\n"}
WORSE = {"pkg/hello/file": "hello 3\n"}
OWN = {
    "fleet.yaml": "source: {branch: main}\nrollout: {canaries: 3}\n",
    "boxes/b.yaml": "role: own\n",
    "roles/own.yaml": "boot: [boot/a.yml, boot/own.yml]\n",
    "boot/own.yml": 'services:\n  - {name: own, image: "@pkg:../pkg/own"}\n',
    "pkg/own/build.yml": "image: own\n",
    "pkg/own/Dockerfile": DOCKERFILE,
    "pkg/own/file": "own\n",
}
CHANGE = {**HELLO, "pkg/own/file": "own 2\n"}
"""Box `b` has a role and a package of its own; and what changes both it and what the others have."""


class PlayedBuilder:
    """Builds and assembles without tools. Implements `Builder`; `fail` names a package that does not build,
    `transient` says that it is the machine's fault; base images are truly fetched."""

    def __init__(self, store: Store) -> None:
        self.store, self.built, self.fail, self.transient = store, list[str](), "", False

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        if package.path == self.fail:
            raise BuildError(f"{package.path}: no", hint="fix it", transient=self.transient)
        Bases(Settings(), self.store).fetch(package, tree)
        self.built.append(package.path)
        image = Image(package.tag, package.key, {}, (self.store.blobs.put(package.key.encode()).sha256,))
        self.store.builds.save_image(image)
        return image

    def prune(self, keep: Iterable[Package]) -> None:
        pass

    def layer(self, data: bytes) -> Layer:
        file = self.store.paths.root / "new-layer"
        size = -(-len(data) // 4096) * 4096
        file.write_bytes(data.ljust(size, b"\0"))
        root = root_hash(file)
        self.store.layers.add(file, root)
        return Layer(root, size)

    def layer_of(self, diff_id: str) -> Layer:
        made = self.layer(self.store.blobs.read(diff_id))
        self.store.builds.save_layer(diff_id, 1, made)
        return made

    def boot_files(self, images: Mapping[str, Image]) -> dict[str, BlobRef]:
        """Programs of which each package has its own."""
        key = self.store.blobs.read(images[BOOTLOADER].layers[0])
        return {name: self.store.blobs.put(a_pe_file(f"{name} ".encode() + key)) for name in BOOT_FILES}

    def assemble(
        self, box: Box, images: Mapping[str, Image], revision: Revision, named: BootFiles | None = None
    ) -> Assembled:
        inputs = {name: images[name].layers[0] for name in (box.spec.kernel, *box.spec.init)}
        layers = tuple(map(self.layer_of, inputs.values()))
        services = tuple(self.layer_of(images[one.image].layers[0]) for one in box.spec.services)
        services += tuple(self.layer(name.encode()) for app in box.apps for name in app.images.values())
        kernel = self.store.blobs.put(b"kernel")
        release = Release(
            box.name, revision.sequence, Content(kernel, kernel, "", (*layers, *services), (), HealthSpec(), named)
        )
        loader, stub, addon = (self.store.blobs.read(ref.sha256) for ref in self.boot_files(images).values())
        return Assembled(release, stub, addon + release.digest.encode(), loader)


@dataclass
class Site:
    """One fleet repo, its controller's state, the boxes that report to it. `unmade`: whose release cannot be made."""

    folder: Path
    remote: Remote
    settings: Settings
    unmade: set[str] = field(default_factory=set)

    def start(self) -> tuple[Controller, Store, PlayedBuilder]:
        store = Store.of(self.settings)
        builder = PlayedBuilder(store)
        return Controller(self.settings, store, builder), store, builder

    def run(self) -> Pass:
        controller, store, _ = self.start()
        with store.lease.held():
            return controller.run_once()

    @property
    def store(self) -> Store:
        return Store.of(self.settings)

    def commit(self, change: Mapping[str, str | None], *options: str) -> None:
        commit(self.remote, change, *options)

    def report(self, box: str, health: Health = Health.HEALTHY, *, failed: bool = False) -> None:
        """The box runs what it is offered; or says that it failed there."""
        found = self.store.offers.published(box)
        assert found
        if not self.store.boxes.row(box):
            self.store.boxes.enroll(box, "ab" * 32)
        release, document = found.release, found.document.sha256
        known = self.store.boxes.report(box)
        counter = known.counter + 1 if known else 1
        runs = release.sequence, document, release.content.digest
        said = Report(box, "boot", counter, 0, "1", *runs, Phase.IDLE, health)
        if failed:
            assert known
            failure = Failure(release.sequence, document, Verdict.FAILED, "no answer")
            said = replace(known, counter=counter, failures=(failure,))
        assert self.store.boxes.save_report(said)

    def offers(self) -> dict[str, str]:
        """What the signed metadata offers: box -> digest of its release."""
        return {box_of(path): t.ref.sha256 for path, t in self._targets().items() if path.endswith(f"/{RELEASE}")}

    def told_to_wait(self) -> dict[str, str]:
        """Box -> why the signed metadata tell it not to take its offer."""
        return holds_of(self._targets())

    def _targets(self) -> dict[str, Target]:
        store = self.store
        return offered(Signer.open(self.settings.keys, store), Folder(store.paths.metadata))

    def contents(self) -> dict[str, str]:
        return {each.name: each.published.content for each in self.store.states.all() if each.published.release}


def commit(remote: Remote, change: Mapping[str, str | None], *options: str) -> None:
    for path, text in change.items():
        place = remote.work / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text) if text is not None else place.unlink()
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "change", *options)
    remote.git("push", "-q", "-f", "origin", "HEAD")


@functools.cache
def first_commit() -> Remote:
    """Made once per test process."""
    remote = Remote(scratch())
    commit(remote, FILES)
    return remote


def new_site(folder: Path, database: str, monkeypatch: pytest.MonkeyPatch, like: Remote) -> Site:
    """One whose fleet repo begins as a copy of another."""
    keys, remote = folder / "kit" / "keys", Remote(folder, like)
    shutil.copytree(shared_keys(), keys)
    settings = Settings(state=folder / "state", repository=str(remote.bare), keys=keys, database=database)

    site = Site(folder, remote, settings)

    def play(self: Assembler, box: Box, revision: Revision, _server: str) -> Assembled:
        if box.name in site.unmade:
            raise AssembleError(f"{box.name}: the kernel has no such file")
        return PlayedBuilder(self._store).assemble(box, self._images, revision, self._named())

    monkeypatch.setattr(Assembler, "assemble", play)
    monkeypatch.setattr(Assembler, "boot_files", lambda self: PlayedBuilder(self._store).boot_files(self._images))
    monkeypatch.setattr(Toolbox, "unpack", lambda *_: None)
    return site


@pytest.fixture
def site(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return new_site(tmp_path, database, monkeypatch, first_commit())


def spec(service: str, *init: str) -> str:
    more = "".join(f', "{name}"' for name in init)
    return (
        f'kernel: {{image: "@pkg:../pkg/kernel", cmdline: quiet}}\ninit: ["@pkg:../pkg/init"{more}]\n'
        f'services:\n  - {{name: ntp, image: "{service}"}}\n'
    )


def beside(service: str, *init: str, box: str = "d") -> dict[str, str]:
    """A box of its own role with this service; the others stay as they are."""
    role, its = {f"roles/{box}.yaml": f"boot: [boot/{box}.yml]\n"}, {f"boxes/{box}.yaml": f"role: {box}\n"}
    return {f"boot/{box}.yml": spec(service, *init)} | role | its
