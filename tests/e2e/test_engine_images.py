"""An image that a Docker engine has: taken into the store, unpacked as a boot spec needs it. The engine is that of
pkg/docker, with a socket and data of its own."""

import io
import tarfile
from pathlib import Path

import docker
import pytest

from gitops.errors import RegistryError
from gitops.oci.elsewhere import Elsewhere
from gitops.oci.files.importing import import_images
from gitops.oci.plain import unpacked_image
from gitops.settings import Settings
from gitops.store import Store
from tests.e2e.containers import Host
from tests.kit.oci import tar


@pytest.mark.e2e
def test_an_image_of_a_docker_engine_is_taken_as_it_saves_it(tmp_path: Path) -> None:
    with Host(tmp_path / "engine", {"docker": "pkg/docker"}) as host:
        (host.box / "etc/docker/daemon.json").write_text('{"storage-driver": "overlay2", "bridge": "none"}')
        host.start("docker")
        socket = host.box / "run/docker/docker.sock"
        host.wait_until("the engine", host.answers)
        url, store = f"unix://{socket}", Store.open(tmp_path / "state")
        client = docker.DockerClient(base_url=url)
        client.api.import_image_from_data(tar({"bin/ntpd": b"ntp"}), "web.example/ntp", "4.2")
        elsewhere = Elsewhere(Settings(), store)
        (one,) = import_images(elsewhere, store, "docker:web.example/ntp:4.2", engine=url).images
        (again,) = import_images(elsewhere, store, "docker:web.example/ntp:4.2", engine=url).images
        with pytest.raises(RegistryError, match=r"has no image web\.example/none:1"):
            import_images(elsewhere, store, "docker:web.example/none:1", engine=url)
        client.close()
    assert one.name.endswith("web.example/ntp:4.2") and one.digest == again.digest
    (layer,) = unpacked_image(store, "ntp", one.image).layers
    with tarfile.open(fileobj=io.BytesIO(store.blobs.read(layer))) as archive:
        assert archive.getnames() == ["bin/ntpd"]
