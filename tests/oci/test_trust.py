"""An image by tag deploys when one of the fleet repo's keys signed it, whoever wrote images.lock."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gitops.model import App, Box, Spec
from gitops.oci.registry import Registry
from gitops.oci.trust import Trust
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images.pulling import Images
from tests.kit.registry import Pushed, pem, sign
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

ADA = ec.generate_private_key(ec.SECP256R1())


def test_which_images_need_a_signature() -> None:
    trust = Trust({"ada.pub": b"x"}, ("web.example/free/*", "redis"))
    asked = {name: trust.asks(name) for name in ("web.example/nginx", "web.example/free/a", "redis", "redis2")}
    assert asked == {"web.example/nginx": True, "web.example/free/a": False, "redis": False, "redis2": True}
    assert not Trust({}).asks("web.example/nginx"), "nobody could sign it"


def test_a_lock_that_names_what_nobody_signed_does_not_deploy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with DockerRegistry(tmp_path / "registry") as server:
        host, store = server.address, Store.open(tmp_path / "state")
        digest = Pushed(host).push("nginx", "1")
        name = f"{host}/nginx:1@{digest}"
        app = App(
            "web", "boot/compose/web", "staged", {"services": {"web": {"image": f"{host}/nginx:1"}}}, {"web": name}
        )
        tree = DictTree(
            {
                "fleet.yaml": "{}",
                "boot/compose/web/docker-compose.yml": f'services: {{web: {{image: "{host}/nginx:1"}}}}',
                "images.lock": f"{host}/nginx:1 {digest}\n",
                "keys/cosign/ada.pub": pem(ADA).decode(),
            }
        )
        images, boxes = Images(Settings(), store), [Box("a", "vm", Spec("", ""), apps=(app,))]
        assert "is not signed" in images.of(boxes, {}, tree).missing[name].message
        assert not images.of(boxes, {}, tree.with_files({"keys/cosign/ada.pub": None})).missing, "nobody's is asked for"
        unsigned = tree.with_files({"fleet.yaml": f"images: {{unsigned: ['{host}/*']}}"})
        assert images.of(boxes, {}, unsigned).images.keys() == {name}
        sign(host, "nginx", digest.removeprefix("sha256:"), ADA)
        assert images.of(boxes, {}, tree).images.keys() == {name}
        monkeypatch.setattr(Registry, "_ask", lambda *_, **__: pytest.fail("asked again"))
        assert images.of(boxes, {}, tree).images.keys() == {name}
