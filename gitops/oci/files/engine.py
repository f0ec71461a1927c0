"""Images of a Docker engine, as `docker save` writes them.

In: where the engine is, an image's name. Out: a tar in a file. Rules: nothing is built, tagged or removed there; no
more is read than an image may have.

    save("unix:///var/run/docker.sock", "web.example/ntp:4.2", scratch / "image.tar")
"""

from pathlib import Path

import docker
from docker.errors import DockerException, NotFound
from requests.exceptions import RequestException

from gitops.errors import RegistryError
from gitops.oci.packed.checked import MAX_UNPACKED

CHUNK = 1 << 20
TIMEOUT = 60
"""Seconds without a byte."""


def save(host: str, name: str, target: Path) -> None:
    """Write an image that the engine has.

    Raises:
        RegistryError: the engine is away, or has no such image; or it is too large.
    """
    try:
        client = docker.DockerClient(base_url=host, timeout=TIMEOUT)
        try:
            with target.open("wb") as output:
                for chunk in client.api.get_image(name, CHUNK):
                    output.write(chunk)
                    if output.tell() > MAX_UNPACKED:
                        raise RegistryError(f"{name} has more than {MAX_UNPACKED} bytes")
        finally:
            client.close()
    except NotFound as error:
        raise RegistryError(f"the Docker engine has no image {name}", hint="`docker pull` fetches one") from error
    except (DockerException, RequestException) as error:
        hint = "`docker_host` in toweros.toml says where the engine is"
        raise RegistryError(f"the Docker engine does not give {name}: {type(error).__name__}", hint=hint) from error
