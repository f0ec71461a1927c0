"""The Docker engine as the second builder: a private engine gives the layers that buildah gives, for every package.

The engine is that of pkg/docker, with a socket and data of its own. Layers are compared by their names: the dm-verity
root of what is in them.
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.assemble.layers import Layers
from gitops.builders.bases import lending
from gitops.builders.bases.fetch import Bases
from gitops.builders.builder import NAME
from gitops.builders.docker import DockerBuilder
from gitops.errors import BuildError
from gitops.fleet.packages import load_packages
from gitops.model import Image, sha256
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.store import Store
from tests.e2e.containers import Host
from tests.kit import bases, built
from tests.kit.registry import Pushed
from tests.simulators.registry import DockerRegistry

pytestmark = pytest.mark.e2e

TREE = FolderTree(built.CHECKOUT)
PACKAGES = load_packages(TREE, 1, "linux/amd64", [])


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerBuilder]:
    """A builder with an engine and a store of its own: nothing that buildah made is in either."""
    folder = tmp_path_factory.mktemp("engine")
    with Host(folder, {"docker": "pkg/docker"}) as host:
        (host.box / "etc/docker/daemon.json").write_text('{"storage-driver": "overlay2", "bridge": "none"}')
        host.start("docker")
        socket = host.box / "run/docker/docker.sock"
        host.wait_until("the engine", host.answers)
        store = Store.open(folder / "state")
        for path in (built.store().paths.root / "blobs" / "sha256").iterdir():  # the locked files, not layers alone
            if any(path.name == locked.sha256 for package in PACKAGES.values() for locked in package.lock):
                store.blobs.put_file(path)
        yield DockerBuilder(store, f"unix://{socket}")


def names(store: Store, image: Image) -> list[object]:
    """What the layers are called; the toolbox, which has device nodes and is on no box, is compared file by file."""
    if image.reference.startswith("toweros/toolbox:"):
        return [entries(store.blobs.path(diff_id)) for diff_id in image.layers]
    return [Layers(store, built.toolbox()).of_blob(diff_id).root for diff_id in image.layers]


def difference(mine: list[object], theirs: list[object]) -> list[object]:
    """What is not the same, and no more of it than one can read."""
    for one, other in zip(mine, theirs, strict=True):
        if isinstance(one, dict) and isinstance(other, dict):
            paths = [path for path in {**one, **other} if one.get(path) != other.get(path)]
            return [(path, one.get(path), other.get(path)) for path in paths[:20]]
    return [pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1]]


def entries(tar: Path) -> dict[str, object]:
    """Everything but times."""
    found: dict[str, object] = {}
    with tarfile.open(tar) as archive:
        for member in archive:
            data = archive.extractfile(member) if member.isreg() else None
            content = sha256(data.read()) if data else ""
            owner, device = (member.uid, member.gid), (member.devmajor, member.devminor) if member.isdev() else ()
            name = member.name.removeprefix("./").rstrip("/")
            link, mode = member.linkname.removeprefix("./"), member.mode & 0o7777
            found[name] = (member.type, mode, owner, link, device, content)
    return found


HERE = ("pkg/agent", "pkg/compose", "pkg/dhcpcd", "pkg/hello", "pkg/initrd", "pkg/kernel", "pkg/toolbox")
"""One of each kind: Python's, a download's, plain Debian's, a fleet's own, what is cut out, a kernel, what others are
made with."""


@pytest.mark.parametrize(
    "path", [path if path in HERE else pytest.param(path, marks=pytest.mark.soak) for path in sorted(PACKAGES)]
)
def test_a_package_has_the_layers_that_buildah_gives_it(engine: DockerBuilder, path: str) -> None:
    mine = engine.build(PACKAGES[path], TREE, PACKAGES)
    theirs = built.image(path)
    assert mine.key == theirs.key
    assert difference(names(engine._store, mine), names(built.store(), theirs)) == []
    assert mine.config.get("Cmd") == theirs.config.get("Cmd")


def test_base_images_of_others_are_lent_to_an_engine_that_asks_nobody(engine: DockerBuilder, tmp_path: Path) -> None:
    """The registry is gone when the engine begins; what a package stands on outlives pruning, and is lent once."""
    store = engine._store
    with DockerRegistry(tmp_path / "registry") as registry:
        tree = bases.standing(Pushed(registry.address), bases.maker(tmp_path))
        packages = load_packages(tree, 1, "linux/amd64", [])
        fetched = {path: Bases(Settings(), store).fetch(package, tree) for path, package in packages.items()}
    assert sum(map(len, fetched.values())) == 5
    made = {path: bases.files(store, engine.build(package, tree, packages)) for path, package in packages.items()}
    assert made == bases.FOUND
    engine.prune(packages.values())
    kept = {name for image in engine._client.images.list(name=NAME) for name in image.tags}
    assert kept == lending.names_of(packages.values())
    engine.prune([packages["pkg/below"]])
    below = {name for image in engine._client.images.list(name=NAME) for name in image.tags}
    assert below == lending.names_of([packages["pkg/below"]])
    engine.prune([])
    assert not [name for image in engine._client.images.list(name=NAME) for name in image.tags]


def test_what_is_built_is_not_built_again(engine: DockerBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_run", lambda *_: pytest.fail("built again"))
    assert engine.build(PACKAGES["pkg/hello"], TREE, PACKAGES).layers


def test_an_engine_that_is_not_there_is_named_with_the_way_out(engine: DockerBuilder) -> None:
    """Before anything is fetched for it."""
    absent = DockerBuilder(Store.open(engine._store.paths.root / "other"), "unix:///nowhere/docker.sock")
    with pytest.raises(BuildError, match="nowhere") as caught:
        absent.build(PACKAGES["pkg/hello"], TREE, PACKAGES)
    assert "docker_host" in caught.value.hint
    assert not [path for path in absent._store.paths.root.rglob("*") if path.is_file() and path.parent.name == "sha256"]
