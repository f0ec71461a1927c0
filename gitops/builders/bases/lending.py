"""Base images as builders take them: a folder for buildah, an archive for the Docker engine, a Dockerfile for both.

In: an image of the store. Out: files in a scratch folder. Rules: a builder knows each image by one name of ours that
holds the digest, whatever the Dockerfile calls it, so that it finds exactly this one and asks nobody; the Dockerfile
with these names stands beside the build context, never in it: what `COPY . /` takes is what Git has. A builder's cache
looks at what images say of themselves, so a lent image says what we know of it. What zstd packed is lent as a plain
tar: engines before Docker 23 cannot read it.

    write_folder(store, image, work / "base")                         # for `buildah pull dir:...`
    write_dockerfile(package, tree, work / "context", work / "Dockerfile")
"""

import io
import json
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitops.builders.builder import CONFIG, NAME
from gitops.errors import BuildError
from gitops.fleet.images.lockfile import pins
from gitops.fleet.packages.dockerfile import Dockerfile
from gitops.fleet.packages.reading.steps import TEXTS
from gitops.model import AppImage, Json, Package, Tree, canonical, sha256
from gitops.oci.image import LAYER, Reference, layers_of
from gitops.oci.packed.unpacked import is_zstd, unpacked
from gitops.oci.registry import CHUNK, DOCKER_MANIFEST
from gitops.store import Store

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
"""A plain tar in a manifest of Docker's (image-manifest v2, schema 2, "Media Types")."""


def name_of(base: str) -> str:
    """What a builder calls a base image."""
    return f"{NAME}:base-{Reference.parse(base).digest}"


def write_dockerfile(package: Package, tree: Tree, context: Path, path: Path) -> Path | None:
    """The Dockerfile with our names of images from outside; None when it names none, and is right as it is. What else
    it needs in the context is written there.

    Raises:
        BuildError: it would have a builder look for an image that we do not lend; the Docker engine would pull it.
    """
    given, known = dict(package.build_args), pins(tree)
    file = Dockerfile.parse(tree.read(f"{package.path}/{package.dockerfile}"), given)
    data = file.renamed({each.image: name_of(each.pinned(known)) for each in file.outside})
    after = Dockerfile.parse(data, given)
    for mistake in (*file.mistakes, *after.mistakes):
        raise BuildError(f"{package.path}/Dockerfile:{mistake.line}: {mistake.message}", hint=mistake.hint)
    for each in after.outside:
        if not each.image.startswith(f"{NAME}:"):
            message = f"{package.path}/Dockerfile:{each.line}: {each.image} is not replaced by what we have of it"
            raise BuildError(message, hint="write the flag that names it first, in a line of its own")
    if not file.uses:
        return None
    _write_texts(file.texts, context)
    path.write_bytes(data)
    return path


def _write_texts(texts: Mapping[str, str], context: Path) -> None:
    """Files with one mode, and a folder that no .dockerignore leaves out: its last line that fits counts."""
    for place, text in texts.items():
        file = context / place
        for folder in (file.parent.parent, file.parent):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        file.write_text(text, newline="")
        file.chmod(0o644)
    ignored = context / ".dockerignore"
    if texts and ignored.is_file():
        ignored.write_bytes(ignored.read_bytes() + f"\n!{TEXTS}\n!{TEXTS}/**\n".encode())


def names_of(packages: Iterable[Package]) -> set[str]:
    """What a builder's storage is to keep for packages: their images, and the base images that they name."""
    known = tuple(packages)
    return {f"{NAME}:{package.key}" for package in known} | {name_of(base) for each in known for base in each.bases}


def write_folder(store: Store, image: AppImage, folder: Path) -> None:
    """An image as containers/image's `dir:` has it; blobs are links, for they are read alone."""
    manifest, config = json.loads(image.manifest), _config(image)
    manifest["config"] |= {"digest": f"sha256:{sha256(config)}", "size": len(config)}
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / sha256(config)).write_bytes(config)
    for layer, ref, diff_id in zip(manifest["layers"], image.layers, layers_of(image), strict=True):
        blob = store.blobs.path(ref.sha256).resolve()
        if is_zstd(blob):
            _unpack(blob, folder / diff_id)
            kind = DOCKER_LAYER if manifest.get("mediaType") == DOCKER_MANIFEST else LAYER
            layer |= {"digest": f"sha256:{diff_id}", "size": (folder / diff_id).stat().st_size, "mediaType": kind}
        elif not (folder / ref.sha256).exists():
            (folder / ref.sha256).symlink_to(blob)
    (folder / "manifest.json").write_bytes(canonical(manifest))


def write_archive(store: Store, image: AppImage, name: str, archive: Path) -> None:
    """An image as `docker load` takes it; layers may be compressed."""
    layers = {f"{number}.tar": ref.sha256 for number, ref in enumerate(image.layers)}
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": list(layers)}]
    with tarfile.open(archive, "w") as output:
        for file, data in (("manifest.json", json.dumps(manifest).encode()), ("config.json", _config(image))):
            info = tarfile.TarInfo(file)
            info.size = len(data)
            output.addfile(info, io.BytesIO(data))
        for file, digest in layers.items():
            blob, plain = store.blobs.path(digest).resolve(), archive.with_suffix(".plain")
            if is_zstd(blob):
                _unpack(blob, plain)
                output.add(plain, file)
                plain.unlink()
            else:
                output.add(blob, file)


def _unpack(blob: Path, plain: Path) -> None:
    with unpacked(blob) as stream, plain.open("wb") as output:
        shutil.copyfileobj(stream, output, CHUNK)


def _config(image: AppImage) -> bytes:
    """An image's config with what a container needs of it, and with a history of ours.

    Builders take an image of their storage for a step that was done before when its last row of history is that step
    (in the Docker engine, `container_config`), and whoever makes an image writes what he likes there: so not one word
    of it is lent. buildah counts the rows, too: one for each layer.
    """
    known: Json = json.loads(image.config)
    inside = known.get("config")
    config = {key: value for key, value in inside.items() if key in CONFIG} if isinstance(inside, Mapping) else {}
    rows = [{"created_by": f"base sha256:{image.digest} {number}"} for number in range(len(image.layers))]
    kept = {key: known[key] for key in ("architecture", "os", "rootfs")}
    return canonical(kept | {"config": config, "history": rows})
