"""Real builds by buildah: equal inputs give equal layers; nothing twice; stopped anywhere."""

import gzip
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.builders import BuildahBuilder
from gitops.builders.bases.fetch import Bases
from gitops.builders.bases.lending import names_of
from gitops.builders.builder import NAME
from gitops.controller import Controller
from gitops.errors import BuildError
from gitops.fleet.packages import load_packages
from gitops.fleet.packages.lockfile import dump_lock
from gitops.model import Image, LockedFile, Package, canonical, sha256
from gitops.oci.image import CONFIG
from gitops.oci.registry import DOCKER_MANIFEST
from gitops.settings import Settings
from gitops.source import FolderTree
from gitops.source.clone.commits import LocalClone
from gitops.store import Store
from gitops.workflows.provenance.rebuild import SecondWitness, builders_of
from tests.kit import bases
from tests.kit.oci import tar
from tests.kit.registry import Pushed, image
from tests.kit.site import Site
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

DEB = b"not really a Debian package, which nothing here opens"
LOCKED = LockedFile("deb", "thing", "1", sha256(DEB), len(DEB), "pool/thing_1_amd64.deb")
BASE = {
    "pkg/base/build.yml": "image: base\n",
    "pkg/base/Dockerfile": 'FROM scratch\nCOPY file /etc/file\nCMD ["/x"]\n',
    "pkg/base/file": "base\n",
}
OWN = {
    "pkg/own/build.yml": 'image: own\nbuildArgs: ["BASE=@lkt:pkg:../base"]\nconfig: {net: host}\n',
    "pkg/own/Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY debs /debs\nCOPY own /own\n",
    "pkg/own/own": "own\n",
    "pkg/own/packages.in": "deb thing\n",
    "pkg/own/packages.lock": dump_lock(b"deb thing\n", [LOCKED]).decode(),
}
TREE = DictTree(BASE | OWN)


def load(tree: DictTree = TREE) -> dict[str, Package]:
    problems: list[object] = []
    packages = load_packages(tree, 1, "linux/amd64", problems)  # type: ignore[arg-type]
    assert not problems
    return packages


def build(folder: Path, tree: DictTree = TREE) -> tuple[Store, Image]:
    store = Store.open(folder)
    store.blobs.put(DEB)
    packages = load(tree)
    return store, BuildahBuilder(store).build(packages["pkg/own"], tree, packages)


def members(store: Store, diff_id: str) -> list[str]:
    with tarfile.open(store.blobs.path(diff_id)) as tar:
        return sorted(member.name for member in tar if member.isfile())


def test_two_stores_give_the_same_layers_and_only_what_was_copied(tmp_path: Path) -> None:
    (store, first), (_, second) = build(tmp_path / "one"), build(tmp_path / "two")
    assert first.layers == second.layers
    own = [name for diff_id in first.layers[1:] for name in members(store, diff_id)]
    assert members(store, first.layers[0]) == ["etc/file"]
    assert own == ["debs/thing_1_amd64.deb", "own"]
    assert json.loads(first.config["Labels"]["org.mobyproject.config"]) == {"net": "host"}
    assert first.config["Cmd"] == ["/x"]


MAKER = r"""
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    mkdir("/made", 0777);
    return symlink("file", "/made/link") || write(open("/made/file", O_CREAT | O_WRONLY, 0666), "made\n", 5) != 5;
}
"""


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that needs no library and leaves files behind, as the steps of a real build do."""
    folder = tmp_path_factory.mktemp("maker")
    (folder / "make.c").write_text(MAKER)
    subprocess.run(["gcc", "-static", "-s", "-o", folder / "make", folder / "make.c"], check=True)
    return (folder / "make").read_bytes()


def machine(folder: Path, maker: bytes, umask: int, mtime: int, **environment: str) -> list[str]:
    """Build on a machine of its own, as one more user at one more time; the layers."""
    fleet = folder / "fleet"
    files = {path: TREE.read(path) for path in TREE.entries()} | {"pkg/base/maker": maker, "pkg/base/a/b/c": b"c"}
    files["pkg/base/Dockerfile"] = b'FROM scratch\nCOPY . /\nRUN ["/maker"]\n'
    for path, data in files.items():
        (fleet / path).parent.mkdir(parents=True, exist_ok=True)
        (fleet / path).write_bytes(data)
    (fleet / "pkg/base/maker").chmod(0o755)
    for path in [fleet, *fleet.rglob("*")]:
        os.utime(path, (mtime, mtime))
    (folder / "home").mkdir()
    Store.open(folder / "state", migrate=True).blobs.put(DEB)
    verb = "from gitops.cli.main import main; main()"
    words = [sys.executable, "-c", verb, "build", "pkg/own", "--dir", fleet, "--state", folder / "state"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": str(folder / "home"), **environment}
    subprocess.run(words, check=True, env=env, umask=umask)
    own = load_packages(FolderTree(fleet), 1, "linux/amd64", [])["pkg/own"]
    image = Store.open(folder / "state").builds.image(own.key)
    assert image
    return [*image.layers, json.dumps(image.config, sort_keys=True)]


def test_two_machines_make_the_same_bytes_of_the_same_lock(tmp_path: Path, maker: bytes) -> None:
    """What `make soak` shows for all of pkg/: another path, umask, time, time zone, language, user and home."""
    one = machine(tmp_path / "a", maker, 0o022, 1, TZ="UTC", LC_ALL="C.UTF-8", USER="ada")
    far = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "LANG": "de_DE.UTF-8", "USER": "grace", "LOGNAME": "grace"}
    other = machine(tmp_path / "somewhere/else/quite", maker, 0o077, 1_700_000_000, **far)
    assert len(one) == 5 and one == other


def test_the_base_is_shared_and_built_once(tmp_path: Path) -> None:
    store, before = build(tmp_path / "s")
    _, after = build(tmp_path / "s", TREE.with_files({"pkg/own/own": "changed\n"}))
    assert before.layers[0] == after.layers[0] and before.layers != after.layers
    assert len(store.builds.image_keys()) == 3


def test_a_key_that_is_in_the_store_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, image = build(tmp_path / "s")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build(tmp_path / "s")[1] == image


def test_a_build_that_fails_names_its_log(tmp_path: Path) -> None:
    broken = TREE.with_files({"pkg/own/Dockerfile": "ARG BASE\nFROM ${BASE}\nCOPY nowhere /\n"})
    with pytest.raises(BuildError, match="pkg/own") as caught:
        build(tmp_path / "s", broken)
    log = Path(caught.value.hint.split()[-1])
    assert "nowhere" in log.read_text()
    mounts = Path("/proc/mounts").read_text().splitlines()
    assert not [line for line in mounts if str(tmp_path) in line and "/merged" in line]
    assert build(tmp_path / "s")[1].layers


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[None]:
    """A killed buildah leaves mounts behind; they would outlive the test's folder."""
    yield
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for point in reversed([point for point in points if point.startswith(f"{tmp_path}/")]):
        subprocess.run(["umount", "-l", point], check=True)


@pytest.mark.usefixtures("unmounted")
def test_killed_in_the_middle_and_run_again(tmp_path: Path) -> None:
    script = "from tests.e2e.test_build import build; import sys; from pathlib import Path; build(Path(sys.argv[1]))"
    root = Path(__file__).parents[2]
    for moment in (0.8, 1.6, 2.4):
        child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "s")], cwd=root, start_new_session=True)
        time.sleep(moment)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    assert build(tmp_path / "s")[1].layers == build(tmp_path / "clean")[1].layers


def compressed(layer: bytes) -> tuple[bytes, bytes, bytes]:
    """Manifest, config and layer of an image as Docker pushes it: gzip, Docker's own media types."""
    packed = gzip.compress(layer, mtime=0)
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}"]}
    config = canonical({"architecture": "amd64", "os": "linux", "config": {"Env": ["A=b"]}, "rootfs": rootfs})
    named = [
        {"mediaType": f"application/vnd.docker.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data)}
        for kind, data in (("container.image.v1+json", config), ("image.rootfs.diff.tar.gzip", packed))
    ]
    manifest = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": named[0], "layers": named[1:]}
    return canonical(manifest), config, packed


def test_a_base_image_of_others_is_stood_on_and_taken_from(tmp_path: Path, maker: bytes) -> None:
    """By the digest of an index whose first image is another machine's; by a tag that is pinned; behind an argument."""
    layer = tar({"etc/base": b"theirs\n", "maker": maker})
    with DockerRegistry(tmp_path / "registry") as registry:
        host, there = registry.address, Pushed(registry.address)
        manifest, *blobs = compressed(layer)
        ours = there.put("web/debian", "13-amd64", manifest, *blobs)
        theirs = there.push("web/debian", "13-arm64", b"arm", "arm64")
        index = there.index("web/debian", "13", arm64=theirs, amd64=ours)
        other = there.push("web/tools", "1", tar({"bin/tool": b"tool\n"}))
        dockerfile = (
            f"ARG TOOLS={host}/web/tools:1\n"
            f"FROM --platform=linux/amd64 \\\n  {host}/web/debian@{index} AS below\n"
            'FROM below AS two\nRUN ["/maker"]\nFROM two\nCOPY . /all\n'
            f"COPY --from={host}/web/tools:1 /bin/tool /tool\n"
        )
        tree = DictTree(
            {
                "pkg/own/build.yml": "image: own\n",
                "pkg/own/Dockerfile": dockerfile,
                "images.lock": f"{host}/web/tools:1 {other}\n",
                "fleet.yaml": "{}\n",
            }
        )
        package = load(tree)["pkg/own"]
        store = Store.open(tmp_path / "state")
        image = BuildahBuilder(store).build(package, tree, load(tree))
        assert image.layers[0] == sha256(layer) and image.config["Env"][0] == "A=b"
        own = {name for diff_id in image.layers[1:] for name in members(store, diff_id)}
        assert own - {f"etc/{name}" for name in ("hostname", "hosts", "resolv.conf")} == {
            "made/file",
            "tool",
            "all/build.yml",
            "all/Dockerfile",
        }
        with tarfile.open(store.blobs.path(image.layers[-2])) as archive:
            copied = archive.extractfile("all/Dockerfile")
            assert copied and copied.read() == dockerfile.encode(), "as Git has it"
    again = Store.open(tmp_path / "again")
    with pytest.raises(BuildError, match=f"pkg/own/Dockerfile:2: base image {host}/web/debian@.* is unreachable"):
        BuildahBuilder(again).build(package, tree, load(tree))
    BuildahBuilder(store).prune([])
    store.builds.forget_image(package.key)
    assert BuildahBuilder(store).build(package, tree, load(tree)) == image, "no registry is asked twice"


def test_base_images_of_every_kind_are_lent_by_us_alone_and_kept_while_somebody_stands_on_them(tmp_path: Path) -> None:
    """An index with an attestation, stages, arguments, tags and digests, zstd; the registry is gone when buildah
    begins. What has several names is pruned, too."""
    store = Store.open(tmp_path / "state")
    with DockerRegistry(tmp_path / "registry") as registry:
        tree = bases.standing(Pushed(registry.address), bases.maker(tmp_path))
        packages = load(tree)
        for package in packages.values():
            Bases(Settings(), store).fetch(package, tree)
    builder = BuildahBuilder(store)
    made = {path: bases.files(store, builder.build(package, tree, packages)) for path, package in packages.items()}
    assert made == bases.FOUND
    builder.prune(packages.values())
    assert lent(store) == names_of(packages.values())
    builder._buildah("tag", *[f"{NAME}:{key}" for key in (packages["pkg/stages"].key, "an-older-one")])
    builder.prune([packages["pkg/below"]])
    assert lent(store) == names_of([packages["pkg/below"]])
    builder.prune([])
    assert lent(store) == set()


def lent(store: Store) -> set[str]:
    """The names of what is in buildah's storage."""
    storage = ("--root", store.paths.builder / "storage", "--runroot", store.paths.builder / "run")
    said = subprocess.run(["buildah", *storage, "images", "--json"], check=True, capture_output=True).stdout
    return {name for image in json.loads(said) or [] for name in image.get("names") or []}


def test_no_base_image_is_taken_for_a_step_of_another_package(tmp_path: Path) -> None:
    """A base whose author wrote, as the last thing that happened to it, what pkg/base is made by."""
    store, _ = build(tmp_path / "one")
    base = load()["pkg/base"]
    storage = ("--root", store.paths.builder / "storage", "--runroot", store.paths.builder / "run")
    asked = ("inspect", "--type", "image", f"{NAME}:{base.key}")
    said = subprocess.run(["buildah", *storage, *asked], check=True, capture_output=True).stdout
    step = next(row for row in json.loads(said)["OCIv1"]["history"] if not row.get("empty_layer"))
    assert "COPY file:" in step["created_by"]
    evil = tar({"etc/file": b"theirs\n"})
    manifest, config = image(evil)
    config = canonical(json.loads(config) | {"history": [step]})
    about = {"mediaType": CONFIG, "digest": f"sha256:{sha256(config)}", "size": len(config)}
    with DockerRegistry(tmp_path / "registry") as registry:
        there = Pushed(registry.address)
        digest = there.put("vendor/x", "1", canonical(json.loads(manifest) | {"config": about}), config, evil)
        dockerfile = f"FROM {registry.address}/vendor/x@{digest}\nCOPY own /own\n"
        theirs = {"pkg/evil/build.yml": "image: evil\n", "pkg/evil/Dockerfile": dockerfile, "pkg/evil/own": "own\n"}
        tree, other = DictTree(BASE | theirs), Store.open(tmp_path / "two")
        packages = load(tree)
        stood = BuildahBuilder(other).build(packages["pkg/evil"], tree, packages)
        made = BuildahBuilder(other).build(packages["pkg/base"], tree, packages)
    ours = store.builds.image(base.key)
    assert stood.layers[0] == sha256(evil)
    assert ours and made.layers == ours.layers


def test_a_second_build_in_a_clean_store_gives_every_digest_again(site: Site, tmp_path: Path) -> None:
    """Real builds, twice; only assembling is played. The locked file is on no mirror, the registry with the base image
    is away: the first store has both."""
    locked = {"pkg/hello/packages.in": "deb thing\n", "pkg/hello/packages.lock": OWN["pkg/own/packages.lock"]}
    store = site.store
    store.blobs.put(DEB)
    with DockerRegistry(tmp_path / "registry") as registry, store.lease.held():
        there = Pushed(registry.address)
        index = there.index("debian", "13", amd64=there.push("debian", "13-amd64", tar({"etc/base": b"theirs\n"})))
        base = f"{registry.address}/debian:13"
        dockerfile = f"FROM {base}\nCOPY debs /debs\nCOPY file /file\n"
        site.commit({**locked, "pkg/hello/Dockerfile": dockerfile, "images.lock": f"{base} {index}\n"})
        Controller(site.settings, store, BuildahBuilder(store)).run_once()
    witness = SecondWitness(
        site.settings, site.settings.state, builders_of(site.settings.keys), LocalClone(site.remote.work)
    )
    found = witness.rebuild(witness.find("a"), site.folder)
    assert found and [each for each in found if not each.same] == []
    rebuilt = {each.part: each.rebuilt for each in found}
    assert rebuilt["release.json"] == site.offers()["a"] and "loader.efi" in rebuilt
