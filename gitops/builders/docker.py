"""The Docker engine as a builder, through its API: for machines where one runs already.

In: a Package, its Tree and its built siblings. Out: an Image with the same layers as buildah's. Rules: as there, the
same key is never built twice, and a build has no network. What the engine has of earlier builds is only a cache: a
sibling that it lacks is loaded into it from the store. Tars differ from buildah's in times alone, which no layer keeps.

    DockerBuilder(store, "unix:///var/run/docker.sock").build(package, tree, packages)
"""

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import docker
import structlog
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from gitops.builders.bases import lending
from gitops.builders.bases.fetch import Bases
from gitops.builders.builder import CONFIG, LABEL, NAME, TIMEOUT, arguments, existing, log_file
from gitops.builders.context import STILL, write_context
from gitops.builders.inputs import fetch_inputs
from gitops.builders.places import Places
from gitops.errors import BuildError
from gitops.model import Image, Json, Package, Tree
from gitops.settings import Settings
from gitops.store import Store

log = structlog.get_logger(__name__)

CHUNK = 1 << 20


class DockerBuilder:
    """Implements `Builder`."""

    def __init__(
        self,
        store: Store,
        host: str,
        places: Places | None = None,
        bases: Bases | None = None,
        still: float = STILL,
    ) -> None:
        self._store, self._host, self._places, self._still = store, host, places, still
        self._bases = bases or Bases(Settings(), store)
        self._opened: docker.DockerClient | None = None

    def build(self, package: Package, tree: Tree, packages: Mapping[str, Package]) -> Image:
        """See `Builder.build`."""
        if image := existing(self._store, package):
            return image
        with self._errors(package):
            self._client.ping()  # before anything is fetched for an engine that is not there
        siblings = [self.build(packages[path], tree, packages) for path in package.depends]
        fetch_inputs(self._store, package, self._places)
        bases = self._bases.fetch(package, tree)
        with tempfile.TemporaryDirectory(dir=self._store.paths.root, prefix=".build-") as work, self._errors(package):
            for sibling in siblings:
                name = f"{NAME}:{sibling.key}"
                self._lend(name, Path(work), partial(write_archive, self._store, sibling, name))
            for base, its in bases.items():
                name = lending.name_of(base)
                self._lend(name, Path(work), partial(lending.write_archive, self._store, its, name))
            context = Path(work, "context")
            context.mkdir()
            write_context(self._store, package, tree, context, self._still)
            dockerfile = (
                lending.write_dockerfile(package, tree, context, Path(work, "Dockerfile"))
                or context / package.dockerfile
            )
            self._run(package, packages, context, dockerfile)
            image = self._export(package, Path(work))
        self._store.builds.save_image(image)
        log.info("image.built", package=package.path, key=package.key, layers=len(image.layers))
        return image

    def prune(self, keep: Iterable[Package]) -> None:
        """See `Builder.prune`."""
        wanted = lending.names_of(keep)
        with self._errors():
            listed = [name for image in self._client.images.list(name=NAME) for name in image.tags]
            for name in {name for name in listed if name.startswith(f"{NAME}:")} - wanted:
                # By its name: what another image stands on loses that alone, and goes with the last that needs it.
                self._client.images.remove(name, force=True)

    @property
    def _client(self) -> docker.DockerClient:
        if self._opened is None:
            self._opened = docker.DockerClient(base_url=self._host, timeout=int(TIMEOUT))
        return self._opened

    @contextmanager
    def _errors(self, package: Package | None = None) -> Iterator[None]:
        """The engine's errors as ours."""
        try:
            yield
        except (DockerException, RequestException) as error:
            what = f"{package.path}: the Docker engine" if package else "the Docker engine"
            hint = "does it run, and may we use its socket? See `builder` and `docker_host` in docs/settings.md"
            refused = isinstance(error, APIError) and error.is_client_error()  # such as a Dockerfile with mistakes
            raise BuildError(f"{what} at {self._host}: {error}", hint=hint, transient=not refused) from error

    def _run(self, package: Package, packages: Mapping[str, Package], context: Path, dockerfile: Path) -> None:
        labels = {LABEL: json.dumps(package.config, sort_keys=True)} if package.config else {}
        logged = log_file(self._store, package)
        messages = self._client.api.build(
            path=str(context), tag=f"{NAME}:{package.key}", buildargs=arguments(package, packages), labels=labels,
            dockerfile=str(dockerfile), network_mode="none", rm=True, forcerm=True, pull=False, decode=True,
        )  # fmt: skip
        with logged.open("w") as output:
            for line in messages:
                output.write(line.get("stream", "") or line.get("error", ""))
                if "error" in line:
                    raise BuildError(f"{package.path}: {line['error'].strip()}", hint=f"the log is {logged}")

    def _lend(self, name: str, work: Path, write: Callable[[Path], None]) -> None:
        """Give the engine a sibling or a base image that it does not have."""
        try:
            self._client.images.get(name)
        except ImageNotFound:
            archive = work / "lent.tar"
            write(archive)
            with archive.open("rb") as stream:
                self._client.images.load(stream)
            archive.unlink()

    def _export(self, package: Package, work: Path) -> Image:
        """Take the layers out of what `docker save` gives: their tars are uncompressed, and named by the config."""
        archive = work / "saved.tar"
        with archive.open("wb") as output:
            for chunk in self._client.api.get_image(f"{NAME}:{package.key}", chunk_size=CHUNK):
                output.write(chunk)
        with tarfile.open(archive) as saved:
            (manifest,) = json.load(_member(saved, "manifest.json"))
            config = json.load(_member(saved, manifest["Config"]))
            diff_ids = tuple(name.removeprefix("sha256:") for name in config["rootfs"]["diff_ids"])
            for diff_id, name in zip(diff_ids, manifest["Layers"], strict=True):
                self._take(package, diff_id, _member(saved, name), work / "layer.tar")
        members: Json = {key: value for key, value in config.get("config", {}).items() if key in CONFIG and value}
        return Image(package.tag, package.key, members, diff_ids)

    def _take(self, package: Package, diff_id: str, stream: IO[bytes], tar: Path) -> None:
        if self._store.blobs.has(diff_id):
            return
        with tar.open("wb") as output:
            while chunk := stream.read(CHUNK):
                output.write(chunk)
        if self._store.blobs.put_file(tar, move=True).sha256 != diff_id:
            raise BuildError(f"{package.path}: the engine's layer {diff_id[:12]} is not what its name says")


def write_archive(store: Store, image: Image, name: str, archive: Path) -> None:
    """An image of the store as `docker load` takes it."""
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{diff_id}" for diff_id in image.layers]}
    config = {"architecture": "amd64", "os": "linux", "config": image.config, "rootfs": rootfs}
    layers = [f"{diff_id}.tar" for diff_id in image.layers]
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": layers}]
    with tarfile.open(archive, "w") as output:
        for file, value in (("manifest.json", manifest), ("config.json", config)):
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(file)
            info.size = len(data)
            output.addfile(info, io.BytesIO(data))
        for diff_id, file in zip(image.layers, layers, strict=True):
            output.add(store.blobs.path(diff_id), file)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = archive.extractfile(name)
    if stream is None:
        raise BuildError(f"the engine's archive holds no {name}", hint="is it a Docker engine of 20.10 or newer?")
    return stream
