"""Which package, foreign image or file of the fleet repo each layer of a release comes from, and what went into that.

In: a workshop in which the release was made. Out: per layer a `Source`, and the materials of a source. Rules: a layer
that two packages share belongs to the one that stands lowest; what no image brings is made of the commit's own files;
every layer also names the toolbox that made it an EROFS image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gitops.assemble.apps import blob_key
from gitops.assemble.release import TOOLBOX
from gitops.model import FETCHED, Box, LockedFile, Material, Release, building, sha256
from gitops.oci.elsewhere import stored
from gitops.oci.image import Reference, layers_of
from gitops.plan import PACKAGE
from gitops.store import Store
from gitops.workflows.workshop import Workshop


@dataclass(frozen=True)
class Source:
    """A package's path, or the reference of an image that no package makes; neither: files of the fleet repo."""

    package: str = ""
    image: str = ""


class Trace:
    """The layers of one revision's releases."""

    def __init__(self, store: Store, workshop: Workshop) -> None:
        self._store, self._workshop = store, workshop
        self._packages = workshop.fleet.packages

    def sources(self, box: Box, release: Release) -> dict[str, Source]:
        """Root -> where the layer comes from."""
        tars: dict[str, Source] = {}
        images = (*box.spec.images(), *(name for app in box.apps for name in app.images.values()))
        owners: dict[str, dict[str, Source]] = {}
        for name in images:
            for diff_id, source in self._of_image(name, owners).items():
                tars |= {diff_id: source, blob_key(diff_id): source}
        recipe = building(self._workshop.fleet.policy.recipe)
        layers = {tar: self._store.builds.layer(tar, recipe) for tar in tars}
        found = {layer.root: tars[tar] for tar, layer in layers.items() if layer}
        # The modules are a file of the kernel's image, and its layer is the lowest of the root.
        found.setdefault(release.content.root[0].root, self._named(box.spec.kernel))
        return {layer.root: found.get(layer.root, Source()) for layer in release.layers()}

    def materials(self, source: Source) -> tuple[Material, ...]:
        """What went into the layers of a source, the commit aside."""
        if source.image:
            digest = Reference.parse(source.image).digest
            return (*self._tools(), Material(source.image, digest))
        return (*self._tools(), *(self._of_package(source.package) if source.package in self._packages else ()))

    def _of_image(self, name: str, owners: dict[str, dict[str, Source]]) -> Mapping[str, Source]:
        path = name.removeprefix(PACKAGE)
        if path in self._packages:
            return self._owners(path, owners)
        pulled = self._workshop.pulled.images.get(name)
        layers = (*(ref.sha256 for ref in pulled.layers), *layers_of(pulled)) if pulled else ()
        return dict.fromkeys(layers, Source(image=name))

    def _named(self, name: str) -> Source:
        path = name.removeprefix(PACKAGE)
        return Source(path) if path in self._packages else Source(image=name)

    def _owners(self, path: str, known: dict[str, dict[str, Source]]) -> dict[str, Source]:
        """Diff id -> the package whose own layer it is, or the base image that brought it, of all the layers of a
        package's image. `known`: of packages that were looked at before; many may stand on one."""
        if path not in known:
            known[path] = self._own(path, known)
        return known[path]

    def _own(self, path: str, known: dict[str, dict[str, Source]]) -> dict[str, Source]:
        below = {diff_id: Source(image=base) for base in self._packages[path].bases for diff_id in self._of_base(base)}
        for sibling in self._packages[path].depends:
            below = self._owners(sibling, known) | below
        return {diff_id: below.get(diff_id, Source(path)) for diff_id in self._layers(path)}

    def _of_base(self, name: str) -> tuple[str, ...]:
        image = stored(self._store, Reference.parse(name).digest)
        return layers_of(image) if image else ()

    def _layers(self, path: str) -> tuple[str, ...]:
        image = self._workshop.built.get(PACKAGE + path)
        return image.layers if image else ()

    def _tools(self) -> tuple[Material, ...]:
        return self._image_of(TOOLBOX.removeprefix(PACKAGE))

    def _image_of(self, path: str) -> tuple[Material, ...]:
        return tuple(Material(path, diff_id) for diff_id in self._layers(path))

    def _of_package(self, path: str) -> tuple[Material, ...]:
        package, tree = self._packages[path], self._workshop.tree
        found: list[Material] = []
        lock = f"{path}/packages.lock"
        if lock in tree.entries():
            found.append(Material(lock, sha256(tree.read(lock))))
        found += [Material(name, Reference.parse(name).digest) for name in package.bases]
        found += [each for sibling in package.depends for each in self._image_of(sibling)]
        return (*found, *map(_locked, package.lock))


def _locked(file: LockedFile) -> Material:
    """With a package URL. Of a file that is neither Debian's nor the Python index's, the server is named."""
    if file.kind == FETCHED:
        return Material(file.filename, file.sha256, uri=f"pkg:generic/{quote(file.name)}")
    server = urlsplit(file.path).hostname if file.elsewhere else "debian"
    kind = f"deb/{server}" if file.kind == "deb" else "pypi"
    return Material(file.filename, file.sha256, uri=f"pkg:{kind}/{quote(file.name)}@{quote(file.version)}")
