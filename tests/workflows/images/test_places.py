"""Where images of boot specs come from: by name, with a password, through a mirror; and who is not waited for."""

import base64
import json
import threading
from pathlib import Path

import pytest

from gitops.errors import RegistryError
from gitops.model import Box, Container, Spec, canonical, sha256
from gitops.oci.within import Jobs, StillAtItError
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images import pulling
from gitops.workflows.images.missing import missing
from gitops.workflows.images.pulling import Images
from tests.kit.images import Made, made
from tests.kit.oci import tar
from tests.kit.servers import silent
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

NTP = tar({"bin/ntpd": b"ntp"})
STARTS = {"Cmd": ["/bin/ntpd"]}
PASSWORD = "bot:$2b$04$p3b4oaMJh4GvwCRAz9bLWeUxQaQMissA3XpZH5v1f9OcHPtFOlDby"
"""bot, s3cret."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "state")


def a_box(*names: str) -> Box:
    return Box("a", "vm", Spec("", "", services=tuple(Container(f"s{i}", name) for i, name in enumerate(names))))


def auth(file: Path, host: str) -> Path:
    encoded = base64.b64encode(b"bot:s3cret").decode()
    file.write_text(json.dumps({"auths": {host: {"auth": encoded}}}))
    return file


def test_a_registry_with_a_password_and_a_mirror_with_a_prefix(store: Store, tmp_path: Path) -> None:
    folder, tree = tmp_path / "registry", DictTree({})
    with DockerRegistry(folder) as server:
        digest = made([NTP], config=STARTS).push(server.address, "mirror/team/ntp")
    with DockerRegistry(folder, password=PASSWORD) as server:
        direct = a_box(f"{server.address}/mirror/team/ntp@{digest}")
        (error,) = Images(Settings(), store).of([direct], {}, tree).missing.values()
        assert "401" in error.message or "lets nobody in" in error.message
        others = Settings(registry_auth=auth(tmp_path / "others.json", "web.example"))
        assert Images(others, store).of([direct], {}, tree).missing, "the password is another registry's"
        ours = Settings(registry_auth=auth(tmp_path / "ours.json", server.address))
        assert not missing_of(ours, direct)
        (image,) = Images(ours, store).of([direct], {}, tree).boot.values()
        assert image.layers == (sha256(NTP),)
        behind = a_box(f"web.example/team/ntp:4.2@{digest}")
        mirrored = Settings(registry=f"{server.address}/mirror", registry_auth=ours.registry_auth)
        assert not Images(mirrored, store).of([behind], {}, tree).missing


def test_a_blob_of_another_size_than_its_manifest_says_is_told_as_that(store: Store, tmp_path: Path) -> None:
    with DockerRegistry(tmp_path / "registry") as server:
        one = made([NTP], config=STARTS)
        one.push(server.address, "ntp")
        for size, said in {len(NTP) + 1: "and the manifest says", 1: "more than 1 bytes"}.items():
            manifest = json.loads(one.manifest)
            manifest["layers"][0]["size"] = size
            name = f"{server.address}/ntp@{Made(canonical(manifest)).push(server.address, 'ntp')}"
            assert said in Images(Settings(), store).of([a_box(name)], {}, DictTree({})).missing[name].message
    assert not store.blobs.has(sha256(NTP))


def missing_of(settings: Settings, box: Box, store: Store | None = None) -> tuple[str, ...]:
    return missing(type("AFleet", (), {"boxes": {"a": box}, "packages": {}})(), DictTree({}), settings, store)  # type: ignore[arg-type]


def test_what_a_plan_needs_and_nobody_has_is_told_with_its_boxes(store: Store, tmp_path: Path) -> None:
    with DockerRegistry(tmp_path / "registry") as server:
        arm = made([NTP], ("linux", "arm64")).push(server.address, "arm")
        ntp = made([NTP], config=STARTS).push(server.address, "ntp")
        names = [
            f"{server.address}/gone@sha256:{'0' * 64}",
            f"{server.address}/arm@{arm}",
            f"{server.address}/ntp@{ntp}",
        ]
        said = missing_of(Settings(), a_box(*names))
        assert (
            [each.partition(": ")[0] for each in said] == ["a", "a"] and "linux/arm64" in said[0] and "404" in said[1]
        )
        Images(Settings(), store).of([a_box(names[2])], {}, DictTree({}))
    assert missing_of(Settings(), a_box(names[2]), store) == (), "it is here, and nobody is asked"
    (said_now,) = missing_of(Settings(), a_box(names[2]))
    assert "is unreachable" in said_now


def test_a_pass_does_not_wait_for_a_registry_that_says_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulling, "PULLS", 0.3)
    monkeypatch.setattr(pulling, "FETCHES", Jobs())
    with silent() as url:
        host = url.split("/")[2]
        first, second = (f"{host}/{name}@sha256:{'0' * 64}" for name in ("a", "b"))
        told = Images(Settings(), store).of([a_box(first, second)], {}, DictTree({})).missing
        again = Images(Settings(), store).of([a_box(first)], {}, DictTree({})).missing
    assert told[first].message == f"{first} is still being fetched" == again[first].message
    assert told[second].message == f"{second} waits for its turn"


def test_work_that_nobody_waited_for_is_found_again_when_it_is_done() -> None:
    jobs, go_on, began = Jobs(), threading.Event(), list[int]()

    def work() -> str:
        began.append(1)
        assert go_on.wait(60)
        return "done"

    with pytest.raises(StillAtItError):
        jobs.within(0.01, "a", work, "a")
    go_on.set()
    while True:
        try:
            assert jobs.within(5, "a", work, "a") == "done"
            break
        except StillAtItError:
            continue
    assert began == [1]
    with pytest.raises(RegistryError, match="no"):
        jobs.within(5, "b", lambda: (_ for _ in ()).throw(RegistryError("no")), "b")
    with pytest.raises(StillAtItError, match="waits for its turn"):
        jobs.within(0, "c", work, "c")
