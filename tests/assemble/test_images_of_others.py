"""A box whose kernel, init and service are images of others, by digest: from a real registry to real layers."""

import base64
import gzip
import io
import tarfile
from pathlib import Path

import pytest

from gitops.assemble.release import BOOTLOADER, INITRD, Assembler
from gitops.assemble.tars.erofs import Image as Erofs
from gitops.fleet import load_fleet
from gitops.model import Layer, Revision, sha256
from gitops.settings import Settings
from gitops.store import Store
from gitops.workflows.images.pulling import Images
from tests.kit import built, oci
from tests.kit.images import attestation, index, made, skippable, zstd
from tests.simulators.registry import DockerRegistry
from tests.simulators.tree import DictTree

MAY_BIND = base64.b64decode("AQAAAgAEAAAAAAAAAAAAAAAAAAA=")
"""CAP_NET_BIND_SERVICE, permitted and effective, as setcap writes it (struct vfs_cap_data, revision 2)."""
CAPABILITY = "security.capability"


def with_capability() -> bytes:
    """As Docker and buildah write it: bytes in a PAX record."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        info = tarfile.TarInfo("bin/ntpd")
        info.size, info.mode = 3, 0o755
        info.pax_headers = {f"SCHILY.xattr.{CAPABILITY}": MAY_BIND.decode(errors="surrogateescape")}
        archive.addfile(info, io.BytesIO(b"ntp"))
    return output.getvalue()


def attributes(store: Store, layer: Layer, path: str) -> dict[str, bytes]:
    with Erofs(store.layers.path(layer.root)) as image:
        return image.nodes()[path].xattrs


@pytest.mark.e2e
def test_kernel_init_and_service_by_digest_become_a_release(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    modules = oci.tar({"usr/lib/modules/1/modules.dep": b"", "usr/lib/modules/1/modules.builtin": b""})
    ntp = made([with_capability()], pack=gzip.compress, config={"Cmd": ["/bin/ntpd", "-n"]})
    chunked = [oci.tar({"usr/lib/": b"", "sbin/init": b"init"})]
    pushed = {
        "kernel": made([oci.tar({"kernel": b"K" * 9000, "kernel.tar": modules})]),
        "init": made(chunked, pack=lambda data: zstd(data[:700]) + zstd(data[700:]) + skippable(b"toc")),
        "ntp": index(made([b"arm"], ("linux", "arm64")), attestation(ntp), ntp),
    }
    with DockerRegistry(tmp_path / "registry") as server:
        names = {name: f"{server.address}/{name}@{one.push(server.address, name)}" for name, one in pushed.items()}
        tree = DictTree(
            {
                "fleet.yaml": "source: {branch: main}\n",
                "boot/a.yml": f"kernel: {{image: '{names['kernel']}', cmdline: quiet}}\ninit: ['{names['init']}']\n"
                f"services: [{{name: ntp, image: '{names['ntp']}'}}]\n",
                "roles/vm.yaml": "boot: [boot/a.yml]\n",
                "boxes/a.yaml": "role: vm\n",
                "keys/authorized_keys": "ssh-ed25519 AAAA ada\n",
                "keys/root.json": "{}",
            }
        )
        box = load_fleet(tree).boxes["a"]
        pulled = Images(Settings(), store).of([box], {}, tree)
    assert not pulled.missing
    images = {INITRD: oci.image(store, "initrd", {"init": b"#!/bin/sh\n"}), BOOTLOADER: built.image("pkg/bootloader")}
    for diff_id in images[BOOTLOADER].layers:
        store.blobs.put_file(built.store().blobs.path(diff_id))
    assembler = Assembler(store, built.toolbox(), images, pulled=pulled)
    content = assembler.assemble(box, Revision("main", "0" * 40, 1, 0), "http://here").release.content
    (service,) = content.containers
    assert content.kernel.sha256 == sha256(b"K" * 9000) and service.path == "services/ntp"
    assert attributes(store, service.layers[0], "bin/ntpd") == {CAPABILITY: MAY_BIND}
    with Erofs(store.layers.path(content.root[1].root)) as init:
        assert b"".join(init.pieces(init.nodes()["sbin/init"])) == b"init"
