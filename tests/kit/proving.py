"""A real controller as the origin of a NOC, and the NOC with a builder of its own: both on one real Git remote."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from gitops.builders.builder import existing
from gitops.controller import Controller
from gitops.model import Image, Package, Tree
from gitops.noc.proving.making import Bench
from gitops.noc.showing.state import Proof
from gitops.noc.site import Config
from gitops.noc.site import Site as NocSite
from gitops.publish import Publisher
from gitops.server.app import create_app, serve
from gitops.settings import Settings
from gitops.sign import Signer
from gitops.store import Store
from tests.kit.site import PlayedBuilder, Site


class Own(PlayedBuilder):
    """The NOC's: as real ones, it builds nothing twice."""

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        return existing(self.store, package) or super().build(package, tree, packages)


class Bad(PlayedBuilder):
    """A builder whose pkg/hello is something else."""

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        image = super().build(package, tree, packages)
        if package.path == "pkg/hello":
            image = Image(image.reference, image.key, {}, (self.store.blobs.put(b"another program").sha256,))
            self.store.builds.save_image(image)
        return image


class Witnessed:
    """An origin, and a NOC that builds what it offers again."""

    def __init__(self, origin: Site, url: str, folder: Path, **config: Any) -> None:
        self.origin, self.url, self.folder = origin, url, folder
        self.builder: type[PlayedBuilder] = Own
        self.builders = list[PlayedBuilder]()
        self.repo = Settings(repository=str(origin.remote.bare), **config.pop("repo", {}))
        self.config = config
        self.noc = self.start()

    def start(self) -> NocSite:
        root = (self.origin.settings.keys / "root.json").read_bytes()
        values = {"name": "site", "origin": self.url, "root": root, "state": self.folder, "listen": "127.0.0.1:0"}
        site = NocSite(Config(**(values | {"boxes": ("a",), "repo": self.repo} | self.config)))
        assert site.prover
        site.prover._open = self._bench
        return site

    def _bench(self) -> Bench:
        settings = self.repo.model_copy(update={"state": self.folder / "workshop"})
        store = Store.of(settings)
        self.builders.append(self.builder(store))
        return Bench(settings, store, self.builders[-1])

    def proof(self) -> Proof:
        """Of box `a`, after a pass."""
        self.noc.once()
        assert self.noc.prover
        self.noc.prover.work()
        return self.noc.state().proofs["a"]

    @property
    def built(self) -> list[str]:
        return [path for builder in self.builders for path in builder.built]

    def publish(self, builder: type[PlayedBuilder]) -> None:
        """A pass of the origin, with another builder."""
        store = self.origin.store
        with store.lease.held():
            Controller(self.origin.settings, store, builder(store)).run_once()

    def claim(self, commit: str) -> None:
        """The origin signs that what it offers is another commit's."""
        store = self.origin.store
        good = store.offers.published("a")
        assert good
        revision = replace(good.revision, commit=commit)
        with store.lease.held():
            Publisher(store, Signer.open(self.origin.settings.keys, store)).publish([replace(good, revision=revision)])


@contextmanager
def witnessed(origin: Site, folder: Path, **config: Any) -> Iterator[Witnessed]:
    """`origin` is served from here on; whatever it has is offered."""
    store = origin.store
    with serve(create_app(store, origin.settings), "127.0.0.1:0") as url:
        yield Witnessed(origin, url, folder, **config)
