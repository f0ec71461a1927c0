"""Real builds by buildah: equal inputs give equal layers; nothing twice; stopped anywhere; inputs by digest only."""

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops.builders import BuildahBuilder, inputs
from gitops.builders.inputs import fetch_inputs
from gitops.builders.mirrors import Mirror
from gitops.errors import BuildError
from gitops.fleet.lockfile import dump_lock
from gitops.fleet.packages import load_packages
from gitops.model import Image, LockedFile, Package, sha256
from gitops.store import Store
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


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a mirror on loopback, which the build is configured with."""
    folder = tmp_path / "mirror"
    (folder / "pool").mkdir(parents=True)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        here = Mirror(f"http://127.0.0.1:{server.server_port}/", "trixie")
        monkeypatch.setattr(inputs, "mirrors", lambda: (here,))
        yield folder
        server.shutdown()


def test_two_stores_give_the_same_layers_and_only_what_was_copied(tmp_path: Path) -> None:
    (store, first), (_, second) = build(tmp_path / "one"), build(tmp_path / "two")
    assert first.layers == second.layers
    own = [name for diff_id in first.layers[1:] for name in members(store, diff_id)]
    assert members(store, first.layers[0]) == ["etc/file"]
    assert own == ["debs/thing_1_amd64.deb", "own"]
    assert json.loads(first.config["Labels"]["org.mobyproject.config"]) == {"net": "host"}
    assert first.config["Cmd"] == ["/x"]


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


def test_inputs_come_from_the_mirror_once(tmp_path: Path, mirror: Path) -> None:
    (mirror / LOCKED.path).write_bytes(DEB)
    store = Store.open(tmp_path / "s")
    fetch_inputs(store, load()["pkg/own"])
    assert store.blobs.read(LOCKED.sha256) == DEB
    (mirror / LOCKED.path).unlink()
    fetch_inputs(store, load()["pkg/own"])


@pytest.mark.parametrize("data", [DEB[:-1], DEB + b"x", b"", DEB.upper()])
def test_a_wrong_input_is_refused_and_not_kept(tmp_path: Path, mirror: Path, data: bytes) -> None:
    (mirror / LOCKED.path).write_bytes(data)
    store = Store.open(tmp_path / "s")
    with pytest.raises(BuildError, match="is not what"):
        fetch_inputs(store, load()["pkg/own"])
    assert not store.blobs.has(LOCKED.sha256) and not store.blobs.has(sha256(data))


def test_an_input_that_is_gone_says_how_to_go_on(tmp_path: Path, mirror: Path) -> None:
    with pytest.raises(BuildError, match="gone from the mirrors") as caught:
        fetch_inputs(Store.open(tmp_path / "s"), load()["pkg/own"])
    assert "toweros lock pkg/own" in caught.value.hint


def test_a_mirror_that_is_away_is_no_reason_to_lock_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "mirrors", lambda: (Mirror("http://127.0.0.1:9/", "trixie"),))
    with pytest.raises(BuildError, match="cannot be fetched") as caught:
        fetch_inputs(Store.open(tmp_path / "s"), load()["pkg/own"])
    assert "lock" not in caught.value.hint
