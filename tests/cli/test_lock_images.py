"""`toweros lock` and tags of images, against Debian's docker-registry."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.errors import FleetError
from gitops.fleet import load_fleet
from gitops.source import FolderTree
from tests.kit.console import toweros
from tests.kit.registry import Pushed, pem, sign
from tests.simulators.registry import DockerRegistry

ADA = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Pushed]:
    with DockerRegistry(tmp_path / "registry") as server:
        yield Pushed(server.address)


def test_tags_are_pinned_refreshed_and_refused(there: Pushed, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    fixed = f"x@sha256:{'0' * 64}"
    texts = {
        "fleet.yaml": "{}\n",
        "boot/a.yml": f"kernel: {{image: {fixed}}}\ninit: [{fixed}]\n"
        f"services: [{{name: docker, image: {fixed}}}, {{name: compose, image: {fixed}}}]\n",
        "boot/compose/web/docker-compose.yml": f'services:\n  web: {{image: "{there.host}/nginx:1"}}\n',
        "roles/vm.yaml": "boot: [boot/a.yml]\ncompose: [{app: boot/compose/web}]\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    lock = folder / "images.lock"

    def locked(*words: str) -> str:
        done = toweros("lock", *words, "--dir", folder, "--state", tmp_path / "state")
        return f"{done.output}{done.exception or ''}"

    with pytest.raises(FleetError, match=r"toweros lock images\.lock"):
        load_fleet(FolderTree(folder))
    assert f"{there.host}/nginx:1: {there.host} has no such tag any more" in locked()
    assert not lock.exists() or there.host not in lock.read_text()
    one = there.push("nginx", "1", b"one")
    assert f"{there.host}/nginx:1 new -> {one}" in locked()
    load_fleet(FolderTree(folder))
    assert lock.read_text().splitlines()[1:] == [f"{there.host}/nginx:1 {one}"]
    assert "1 images, unchanged" in locked("images.lock")
    two = there.push("nginx", "1", b"two")
    (folder / "keys/cosign").mkdir(parents=True)
    (folder / "keys/cosign/ada.pub").write_bytes(pem(ADA))
    assert "is not signed" in locked("images.lock") and one in lock.read_text(), "what is refused stays as it was"
    sign(there.host, "nginx", two.removeprefix("sha256:"), ADA)
    assert f"{one} -> {two}" in locked("images.lock") and two in lock.read_text()
    (folder / "boot/compose/web/docker-compose.yml").write_text(
        f'services:\n  web: {{image: "{there.host}/nginx@{two}", track: "1"}}\n'
    )
    locked("images.lock")
    assert two not in lock.read_text(), "the digest beside the tag says it"
    three = there.push("nginx", "1", b"three")
    sign(there.host, "nginx", three.removeprefix("sha256:"), ADA)
    locked("images.lock")
    assert f"{there.host}/nginx:1@{two} {three}" in lock.read_text()
