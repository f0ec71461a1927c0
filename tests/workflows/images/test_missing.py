"""What a plan says of images before anybody merges it: what cannot be had, and what nobody signed who may."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.fleet import load_fleet
from gitops.forges.forge import Pull
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images.missing import Bounds, missing
from gitops.workflows.images.pulling import Images
from gitops.workflows.reviews.rounds import Reviews
from tests.kit.console import toweros
from tests.kit.fleets import TREE
from tests.kit.images import index, made
from tests.kit.oci import tar
from tests.kit.pulls import push_pull, reviews
from tests.kit.registry import pem, sign
from tests.kit.remote import Remote
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

__all__ = ["reviews"]
ADA, EVE = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
NTP = tar({"bin/ntpd": b"ntp"})
STARTS = {"Cmd": ["/bin/ntpd"]}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as server:
        yield server.address


def spec(service: str) -> str:
    return (
        'kernel: {image: "@pkg:../pkg/kernel", cmdline: quiet}\ninit: ["@pkg:../pkg/init"]\n'
        f'services:\n  - {{name: ntp, image: "{service}"}}\n'
    )


def naming(image: str, digest: str = "", more: str = "source: {branch: main}\n") -> dict[str, str]:
    """Ada signs images, and all boxes have this one; with a digest, its tag is pinned in images.lock."""
    files = {"boot/a.yml": spec(image), "keys/cosign/ada.pub": pem(ADA).decode(), "fleet.yaml": more}
    return files | ({"images.lock": f"{image} {digest}\n"} if digest else {})


def said(files: dict[str, str], store: Store | None = None, bounds: Bounds = Bounds(), **settings: str) -> list[str]:
    tree = DictTree({path: TREE.read(path).decode() for path in TREE.entries()} | files)
    found = missing(load_fleet(tree), tree, Settings(**settings), store, bounds)  # type: ignore[arg-type]
    assert all(each.startswith("one, three, two: ") for each in found if ": " in each)
    return [each.partition(": ")[2] for each in found]


def test_a_pinned_tag_that_nobody_signed_is_told_before_it_deploys(host: str, tmp_path: Path) -> None:
    """It was told only once it was deployed, by the boxes that were held."""
    one = made([NTP], config=STARTS)
    digest, whole = one.push(host, "plain", "1"), index(one).push(host, "plain", "all")
    files = naming(f"{host}/plain:1", digest)
    (told,) = said(files)
    assert "is not signed" in told and f"{host}/plain:1@{digest}" in told
    store = Store.open(tmp_path / "state")
    tree, box = DictTree(files), load_fleet(DictTree({p: TREE.read(p).decode() for p in TREE.entries()} | files)).boxes
    with store.lease.held():
        Images(Settings(), store).of([box["one"]], {}, DictTree({}))
        assert said(files, store) == [told], "it is here, and not signed"
        sign(host, "plain", digest.removeprefix("sha256:"), EVE)
        (told,) = said(files, store)
        assert "is not signed" not in told and "key" in told, "by a key that nobody listed"
        assert said(naming(f"{host}/plain:1", digest, "images: {unsigned: ['127*']}\n")) == []
        assert said(naming(f"{host}/plain@{digest}")) == [], "a digest that a person wrote needs none"
        sign(host, "plain", digest.removeprefix("sha256:"), ADA)
        assert said(files) == [] and said(naming(f"{host}/plain:all", whole)) == [], "of an index, the image's counts"
        Images(Settings(), store).of([box["one"]], {}, tree)
    with DockerRegistry(tmp_path / "other") as other:
        away = other.address
    assert said(files, store) == [], "its signature was checked, and nobody is asked"
    assert "is unreachable" in said(naming(f"{away}/plain:1", digest))[0]


APP = "services: {ntp: {image: NAME, read_only: true}}\n"


def test_an_image_that_docker_pulls_itself_needs_a_signature(host: str) -> None:
    digest = made([tar({"bin/web": b"web"})], config=STARTS).push(host, "mirror/web/ntp")
    app = {"boot/compose/net/docker-compose.yml": APP.replace("NAME", f"web/ntp@{digest}")}
    docker = "".join(f'  - {{name: {name}, image: "@pkg:../pkg/hello"}}\n' for name in ("docker", "compose"))
    app |= {"boot/a.yml": spec("@pkg:../pkg/hello") + docker}
    app |= {"roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/net, pull: registry}]\n"}
    app |= {"keys/cosign/ada.pub": pem(ADA).decode()}
    (told,) = said(app, registry=f"{host}/mirror")
    assert "is not signed" in told
    assert "no registry is named" in said(app)[0]
    sign(host, "mirror/web/ntp", digest.removeprefix("sha256:"), ADA)
    assert said(app, registry=f"{host}/mirror") == []


def test_toweros_plan_says_it_of_a_working_folder(host: str, tmp_path: Path) -> None:
    digest = made([tar({"bin/a": b"a"})], config=STARTS).push(host, "folder", "1")
    for path in TREE.entries():
        (tmp_path / "fleet" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fleet" / path).write_bytes(TREE.read(path))
    for path, text in naming(f"{host}/folder:1", digest).items():
        (tmp_path / "fleet" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fleet" / path).write_text(text)
    done = toweros("plan", "-C", tmp_path / "fleet", "-o", "json")
    assert f"folder:1@{digest} cannot be had" in done.stdout and "is not signed" in done.stdout


def pull(number: int, head: str) -> Pull:
    return Pull(number, head, "main", True, f"refs/pull/{number}/head")


def on_main(remote: Remote, files: dict[str, str]) -> None:
    for path, text in files.items():
        (remote.work / path).parent.mkdir(parents=True, exist_ok=True)
        (remote.work / path).write_text(text)
    remote.git("add", "-A")
    remote.git("commit", "-q", "-m", "images")
    remote.git("push", "-q", "origin", "HEAD:main")
    remote.git("fetch", "-q", "origin")


def test_a_pull_request_is_told_that_an_image_is_not_signed_and_chooses_no_host(
    reviews: tuple[Reviews, Store, Remote], host: str
) -> None:
    """A stranger's plan asks of repositories that the branch names already, and of nothing else."""
    speaker, _, remote = reviews
    old, new = (made([tar({"bin/a": text})], config=STARTS).push(host, "moved", "1") for text in (b"old", b"new"))
    sign(host, "moved", old.removeprefix("sha256:"), ADA)
    on_main(remote, naming(f"{host}/moved:1", old))
    head = push_pull(remote, 7, {"images.lock": f"{host}/moved:1 {new}\n"})
    (told,) = speaker.plan(pull(7, head), False).warnings
    assert "is not signed" in told
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(0.1)
        elsewhere = f"127.0.0.1:{stranger.getsockname()[1]}/x@sha256:{'0' * 64}"
        private = f"{host}/private@sha256:{'0' * 64}"
        for number, name in enumerate((elsewhere, private), 8):
            head = push_pull(remote, number, {"boot/a.yml": spec(name)})
            (told,) = speaker.plan(pull(number, head), False).warnings
            assert "of a repository that nothing here names yet" in told and "404" not in told
        with pytest.raises(TimeoutError):
            stranger.accept()


def test_a_look_has_an_end_in_images(host: str) -> None:
    digest = made([NTP], config=STARTS).push(host, "bound")
    names = "".join(f'  - {{name: s{n}, image: "{host}/bound{n}@{digest}"}}\n' for n in range(5))
    files = {"boot/a.yml": spec(f"{host}/bound@{digest}") + names}
    told = said(files, bounds=Bounds(most=3))
    assert len(told) == 4 and told[-1] == "" and "404" in told[0], "and that 3 more were not asked for"


def folder_of(folder: Path, files: dict[str, str]) -> Path:
    for path, text in ({path: TREE.read(path).decode() for path in TREE.entries()} | files).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_validate_asks_registries_when_it_is_told_to(host: str, tmp_path: Path) -> None:
    """A wrong platform, a missing signature, processors that boxes have not: by the line that names the image."""
    arm = made([NTP], ("linux", "arm64"), config=STARTS).push(host, "arm", "1")
    newer = index(made([NTP], ("linux", "amd64", "v4"), config=STARTS)).push(host, "newer", "1")
    base = made([tar({"bin/sh": b"base"})]).push(host, "base", "1")
    app = made([tar({"bin/web": b"web2"})], ("windows", "amd64"), config=STARTS).push(host, "app", "1")
    docker = "".join(f'  - {{name: {name}, image: "@pkg:../pkg/hello"}}\n' for name in ("docker", "compose"))
    files = naming(f"{host}/arm@{arm}") | {
        "images.lock": f"{host}/base:1 {base}\n",
        "pkg/kernel/Dockerfile": f'FROM {host}/base:1\nCMD ["/x"]\n',
        "pkg/kernel/build.yml": "image: kernel\n",
        "boot/compose/net/docker-compose.yml": f"services:\n  web:\n    image: {host}/app@{app}\n",
        "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/net}]\n",
        "pkg/hello/Dockerfile": 'FROM scratch\nCMD ["/x"]\n',
        "pkg/hello/build.yml": "image: hello\n",
    }
    files["boot/a.yml"] += f'  - {{name: new, image: "{host}/newer@{newer}"}}\n{docker}'
    folder = folder_of(tmp_path, files)
    assert json.loads(toweros("validate", folder, "-o", "json").stdout) == []
    rows = json.loads(toweros("validate", folder, "--images", "-o", "json").stdout)
    told = {(row["file"], row["line"]): row for row in rows}
    assert len(rows) == 4 and all(row["hint"] for row in rows)
    assert "for linux/arm64, not for" in told["boot/a.yml", 4]["message"]
    assert (
        "linux/amd64/v4 and later" in told["boot/a.yml", 5]["message"] and "@sha256:" in told["boot/a.yml", 5]["hint"]
    )
    assert "is not signed" in told["pkg/kernel/Dockerfile", 1]["message"]
    assert "for windows/amd64" in told["boot/compose/net/docker-compose.yml", 3]["message"]


def test_a_plan_says_that_a_base_image_is_not_signed(host: str) -> None:
    base = made([tar({"bin/sh": b"under"})]).push(host, "under", "1")
    files = naming("@pkg:../pkg/hello") | {"images.lock": f"{host}/under:1 {base}\n"}
    files |= {"pkg/hello/Dockerfile": f'FROM {host}/under:1\nCMD ["/x"]\n', "pkg/hello/build.yml": "image: hello\n"}
    (told,) = said(files)
    assert "is not signed" in told and f"{host}/under:1@{base}" in told
    sign(host, "under", base.removeprefix("sha256:"), ADA)
    assert said(files) == []
    (told,) = said(files, bounds=Bounds(only=()))
    assert "of a repository that nothing here names yet" in told, "a stranger's Dockerfile chooses no host"
